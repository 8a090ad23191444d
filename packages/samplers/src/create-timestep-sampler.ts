import type { LatentSize } from './distributions.ts';
import { quantile } from './distributions.ts';
import { SamplerError } from './errors.ts';
import { resolveSettings } from './options.ts';
import type { SamplerSettings, TimestepSamplerOptions } from './options.ts';
import { findSampler } from './registry.ts';
import type { Component } from './registry.ts';
import { sigmaBase, sigmaDensity, sigmaEntry } from './sigma-sampler.ts';

/** Where random numbers come from; `TorchGenerator` of `@musubi/random` is one. */
export interface NumberSource {
  /** uniform on [0, 1) */
  rand(count: number): Float32Array;
  /** standard normal */
  randn(count: number): Float32Array;
}

export interface TimestepBatch {
  /** number of items, B */
  readonly count: number;
  /** shape of the latents, of which the last two sizes count, e.g. `[B, 16, F, h, w]` */
  readonly latentShape: readonly number[];
  /** uniform numbers made for the items beforehand (`num_timestep_buckets`), at least `count`; null draws fresh ones */
  readonly pooled?: readonly number[] | null;
  readonly source: NumberSource;
}

export interface TimestepSample {
  /** noise level of each item, 0 … 1, float32 */
  readonly t: Float32Array;
  /** as the model sees them: `1000·t + 1`, for `sigma` the schedule's own */
  readonly timesteps: Float32Array;
}

export type TimestepSampler = (batch: TimestepBatch) => TimestepSample;

export interface SamplerHooks {
  /** stratified uniform numbers on demand; `preserveDistributionShape` uses them where `num_timestep_buckets` is set */
  readonly bucketedUniform?: (() => number) | null;
}

/** Rounds of drawing a whole batch with `preserveDistributionShape` before the range counts as unreachable. */
const MAX_ROUNDS = 1000;

/**
 * A function that draws the timesteps of a batch. It keeps nothing between calls.
 *
 * Without `preserveDistributionShape` the distribution is squeezed into `[min, max]`; with it, batches are drawn until
 * enough timesteps fall inside, and `pooled` is not used.
 *
 * @throws {SamplerError} `UNKNOWN_SAMPLER`, `UNKNOWN_WEIGHTING`, `SAMPLER_OPTION`; the returned function `BATCH_SHAPE`,
 *   `POOL_SIZE`, `POOL_NUMBER` and `RANGE_NEVER_HIT`
 *
 * @example
 * ```ts
 * import { createTimestepSampler, numberSource } from '@musubi/samplers';
 *
 * const sampler = createTimestepSampler({ timestepSampling: 'uniform', minTimestep: 200, maxTimestep: 400 });
 * const { t } = sampler({ count: 2, latentShape: [2, 16, 1, 64, 64], source: numberSource(() => 0.5) });
 * console.log([...t].map((x) => x.toFixed(2))); // [ '0.30', '0.30' ]
 * ```
 */
export function createTimestepSampler(options: TimestepSamplerOptions, hooks: SamplerHooks = {}): TimestepSampler {
  const settings = resolveSettings(options);
  const { components, usesLatentSize } = findSampler(settings.timestepSampling);
  if (components === null) return (batch) => drawFromSchedule(settings, batch);

  return (batch) => {
    assertBatch(batch);
    const size = usesLatentSize ? latentSize(batch.latentShape) : { height: 1, width: 1 };
    const parts = components(settings, size);
    const t = settings.preserveDistributionShape
      ? drawInside(parts, settings, batch, hooks.bucketedUniform ?? null)
      : squeeze(draw(parts, batch, batch.pooled ?? null), settings);
    return { t, timesteps: t.map((x) => Math.fround(1000 * x) + 1) };
  };
}

/** Draws from a mixture: first one decision number an item, then the base numbers of each part as one block. */
function draw(
  parts: readonly Component[],
  { count, source }: TimestepBatch,
  pooled: ArrayLike<number> | null,
): Float32Array {
  const decisions = parts.length > 1 ? source.rand(count) : new Float32Array(count);
  const t = new Float32Array(count);
  let from = -Infinity;
  for (const part of parts) {
    const items = Array.from(decisions.keys()).filter((i) => decisions[i]! >= from && decisions[i]! < part.until);
    from = part.until;
    if (items.length === 0) continue;
    if (pooled !== null) {
      const fromUniform = quantile(part);
      for (const i of items) t[i] = fromUniform(Math.fround(pooled[i]!));
    } else {
      const numbers = part.base === 'uniform' ? source.rand(items.length) : source.randn(items.length);
      items.forEach((i, k) => (t[i] = part.toTimestep(numbers[k]!)));
    }
  }
  return t;
}

function squeeze(t: Float32Array, { minTimestep, maxTimestep }: SamplerSettings): Float32Array {
  const low = minTimestep / 1000;
  const width = maxTimestep / 1000 - low;
  return t.map((x) => Math.fround(x * Math.fround(width)) + Math.fround(low));
}

function drawInside(
  parts: readonly Component[],
  settings: SamplerSettings,
  batch: TimestepBatch,
  bucketedUniform: (() => number) | null,
): Float32Array {
  const low = Math.fround(settings.minTimestep / 1000);
  const high = Math.fround(settings.maxTimestep / 1000);
  const kept: number[] = [];
  let last = new Float32Array(0);
  for (let round = 0; round < MAX_ROUNDS && kept.length < batch.count; round++) {
    last = Float32Array.from(
      draw(parts, batch, bucketedUniform && Array.from({ length: batch.count }, bucketedUniform)),
    );
    kept.push(...last.filter((x) => x >= low && x <= high));
  }
  if (kept.length >= batch.count) return Float32Array.from(kept.slice(0, batch.count));
  if (settings.onExhausted === 'unrestricted') {
    draw(parts, batch, batch.pooled ?? null); // The original draws once more and does not use it.
    return last;
  }
  throw rangeNeverHit(settings, kept.length, batch.count);
}

function drawFromSchedule(settings: SamplerSettings, batch: TimestepBatch): TimestepSample {
  const { count, source } = batch;
  assertCount(batch);
  const numbers = sigmaBase(settings) === 'normal' ? source.randn(count) : source.rand(count);
  const entries = Array.from(numbers, (x) => sigmaEntry(sigmaDensity(x, settings), settings));
  return {
    t: Float32Array.from(entries, (entry) => entry.t),
    timesteps: Float32Array.from(entries, (entry) => entry.timestep),
  };
}

function latentSize(shape: readonly number[]): LatentSize {
  const [height, width] = shape.slice(-2);
  if (height !== undefined && width !== undefined && height > 0 && width > 0) return { height, width };
  const problem = `The latents' shape [${shape.join(', ')}] has no height and width.`;
  const remedy = 'Pass a shape whose last two sizes are those of the latents, e.g. [B, 16, F, h, w].';
  throw new SamplerError('BATCH_SHAPE', problem, remedy, { option: 'latentShape', value: shape });
}

function assertBatch(batch: TimestepBatch): void {
  assertCount(batch);
  const { count, pooled } = batch;
  if (!pooled) return;
  const remedy = 'Pass one number in [0, 1) for each item.';
  const facts = { option: 'pooled', value: pooled };
  if (pooled.length < count) {
    throw new SamplerError('POOL_SIZE', `The pool gives ${pooled.length} numbers for ${count} items.`, remedy, facts);
  }
  // The end itself can come from rounding.
  const wrong = Array.from(pooled).find((u) => !(u >= 0 && u <= 1));
  if (wrong !== undefined) throw new SamplerError('POOL_NUMBER', `The pool holds ${wrong}.`, remedy, facts);
}

function assertCount({ count }: TimestepBatch): void {
  if (Number.isInteger(count) && count >= 0) return;
  const facts = { option: 'count', value: count };
  throw new SamplerError('BATCH_SHAPE', `A batch of ${count} items is none.`, 'Pass the number of items.', facts);
}

function rangeNeverHit(settings: SamplerSettings, found: number, count: number): SamplerError {
  const { timestepSampling, minTimestep, maxTimestep } = settings;
  return new SamplerError(
    'RANGE_NEVER_HIT',
    `${MAX_ROUNDS} rounds of timestep_sampling = "${timestepSampling}" gave ${found} of ${count} timesteps ` +
      `between min_timestep = ${minTimestep} and max_timestep = ${maxTimestep}.`,
    'Widen the range, choose a sampler that reaches it, or remove preserve_distribution_shape to squeeze the distribution into it.',
    { option: 'preserve_distribution_shape', value: true },
  );
}
