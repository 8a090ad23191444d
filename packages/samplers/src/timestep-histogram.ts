import { createTimestepSampler } from './create-timestep-sampler.ts';
import type { NumberSource } from './create-timestep-sampler.ts';
import { expectedDistribution } from './expected-density.ts';
import { assertNumber, isCount, isPositive } from './internal/numbers.ts';
import { lossWeighting } from './loss-weighting.ts';
import { resolveSettings } from './options.ts';
import type { SamplerSettings, TimestepSamplerOptions } from './options.ts';

/** What `--show_timesteps` shows. */
export interface TimestepHistogram {
  readonly settings: SamplerSettings;
  /** Slices of stratified timesteps; null draws freely. */
  readonly numTimestepBuckets: number | null;
  /** How many draws fell into `[k, k + 1)` of 0 … 1000; noise level 1 counts to the last. */
  readonly counts: readonly number[];
  /** How many should: exact, not drawn. */
  readonly expected: readonly number[];
  /** Weight of the loss at the timesteps 1 … 1000; 1 where there is none or it is infinite. */
  readonly weights: readonly number[];
}

export interface HistogramRequest {
  readonly source: NumberSource;
  /** stratified uniform numbers, where `num_timestep_buckets` is set */
  readonly bucketedUniform?: (() => number) | null;
  readonly numTimestepBuckets?: number | null;
  /** default 100 000, drawn in batches of 1000 */
  readonly draws?: number;
  /** height and width of the latents, default 128 × 128, a picture of 1024 × 1024 pixels */
  readonly latentSize?: { readonly height: number; readonly width: number };
}

const BINS = 1000;
const BATCH = 1000;

/**
 * Draws timesteps, counts them, and puts beside them what is expected and how the loss is weighted. Weights are computed in
 * float16, as the original does here whatever it trains in.
 *
 * @throws {SamplerError} as `createTimestepSampler`; `BAD_NUMBER` for draws or a size that is none
 */
export function timestepHistogram(options: TimestepSamplerOptions, request: HistogramRequest): TimestepHistogram {
  const { source, bucketedUniform = null, draws = 100_000 } = request;
  const size = request.latentSize ?? { height: 128, width: 128 };
  assertNumber('draws', draws, isCount, 'a whole number of at least 0');
  assertNumber('height', size.height, isPositive, 'the height of the latents');
  assertNumber('width', size.width, isPositive, 'the width of the latents');
  const settings = resolveSettings(options);
  const sampler = createTimestepSampler(options, { bucketedUniform });
  const counts = Array.from({ length: BINS }, () => 0);
  for (let done = 0; done < draws; done += BATCH) {
    const count = Math.min(BATCH, draws - done);
    const pooled = bucketedUniform && Array.from({ length: count }, bucketedUniform);
    const { t } = sampler({ count, latentShape: [count, 1, 1, size.height, size.width], pooled, source });
    for (const x of t) counts[Math.min(Math.floor(Math.fround(1000 * x)), BINS - 1)]!++;
  }
  const { weightingScheme } = settings;
  const timesteps = Float32Array.from({ length: BINS }, (_, k) => k + 1);
  const weights = lossWeighting({ weightingScheme, timesteps, dtype: 'float16' }) ?? timesteps.map(() => 1);
  const cumulative = expectedDistribution(settings, size);
  const upTo = Array.from({ length: BINS + 1 }, (_, k) => (k === BINS ? 1 : k === 0 ? 0 : cumulative(below(k))));
  return {
    settings,
    numTimestepBuckets: request.numTimestepBuckets ?? null,
    counts,
    expected: counts.map((_, k) => draws * (upTo[k + 1]! - upTo[k]!)),
    weights: Array.from(weights, (weight) => (Number.isFinite(weight) ? weight : 1)),
  };
}

/** Just below k/1000, because a bin does not hold its upper end: schedule entries lie exactly there. */
const below = (k: number): number => k / BINS - 1e-9;
