import type { SamplerHooks, TimestepBatch, TimestepSample, TimestepSampler } from './create-timestep-sampler.ts';
import { SamplerError } from './errors.ts';

export interface HighLowSample extends TimestepSample {
  /** whether the batch belongs to the high-noise transformer */
  readonly isHighNoise: boolean;
}

export interface HighLowOptions extends SamplerHooks {
  /** noise level from which the high-noise transformer takes over, in (0, 1]; above 1 it is a timestep out of 1000 */
  readonly timestepBoundary: number;
}

/** Draws for one item before its batch falls back to an unrestricted draw. */
const MAX_DRAWS = 100;

/**
 * Timesteps for a pair of transformers, one for high and one for low noise (Wan 2.2): one draw decides for the whole batch,
 * then every item is drawn again until it falls on that side.
 *
 * The deciding draw takes the first pooled number; the others come from `bucketedUniform`, or fresh without it. If an item
 * never falls on the side in 100 draws, the whole batch is drawn without the restriction.
 *
 * @throws {SamplerError} `SAMPLER_OPTION` for a boundary that is no positive number up to 1000
 */
export function createHighLowSampler(
  sampler: TimestepSampler,
  { timestepBoundary, bucketedUniform }: HighLowOptions,
): (batch: TimestepBatch) => HighLowSample {
  if (!(timestepBoundary > 0 && timestepBoundary <= 1000)) {
    const problem = `timestep_boundary = ${timestepBoundary} is not a noise level.`;
    const remedy = 'Use a number between 0 and 1, e.g. 0.875, or a timestep up to 1000.';
    throw new SamplerError('SAMPLER_OPTION', problem, remedy, { option: 'timestep_boundary', value: timestepBoundary });
  }
  const boundary = Math.fround(timestepBoundary > 1 ? timestepBoundary / 1000 : timestepBoundary);
  const isHigh = ({ timesteps }: TimestepSample): boolean => Math.fround(timesteps[0]! / 1000) >= boundary;

  return (batch) => {
    const one = (pooled: readonly number[] | null): TimestepSample => sampler({ ...batch, count: 1, pooled });
    const isHighNoise = isHigh(one(batch.pooled?.slice(0, 1) ?? null));
    const t = new Float32Array(batch.count);
    const timesteps = new Float32Array(batch.count);
    let found = 0;
    for (let i = 0; i < batch.count; i++) {
      for (let k = 0; k < MAX_DRAWS; k++) {
        const sample = one(bucketedUniform ? [bucketedUniform()] : null);
        if (isHigh(sample) !== isHighNoise) continue;
        t[i] = sample.t[0]!;
        timesteps[i] = sample.timesteps[0]!;
        found++;
        break;
      }
    }
    return found === batch.count ? { t, timesteps, isHighNoise } : { ...sampler(batch), isHighNoise };
  };
}
