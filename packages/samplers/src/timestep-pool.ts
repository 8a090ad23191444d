import { SamplerError } from './errors.ts';
import { assertNumber, isCount } from './internal/numbers.ts';

/** Uniform numbers and shuffling; `PythonRandom` of `@musubi/random` is one. */
export interface PoolSource {
  random(): number;
  uniform(a: number, b: number): number;
  shuffle<T>(list: T[]): void;
}

/**
 * The timesteps of one epoch, spread evenly: each of N equal slices of [0, 1) gives ⌈batches·batchSize / N⌉ uniform
 * numbers, all are shuffled, and the surplus is cut off.
 *
 * @param batches number of batches of the epoch; short ones count in full
 * @param numBuckets N; below 2 there is no pool
 * @returns one list of `batchSize` numbers a batch, in the order of the shuffled batches, or null
 * @throws {SamplerError} `SAMPLER_OPTION` for slices that are no whole number from 0 to 2²⁴, `BAD_NUMBER` for other counts
 */
export function epochTimesteps(
  batches: number,
  batchSize: number,
  numBuckets: number | null,
  source: PoolSource,
): number[][] | null {
  assertBuckets(numBuckets);
  assertNumber('batches', batches, isCount, 'a whole number of at least 0');
  assertNumber('batchSize', batchSize, (x) => isCount(x) && x > 0, 'a whole number of at least 1');
  if (numBuckets === null || numBuckets < 2) return null;
  const needed = batches * batchSize;
  const perBucket = Math.ceil(needed / numBuckets);
  const numbers: number[] = [];
  for (let bucket = 0; bucket < numBuckets; bucket++) {
    for (let i = 0; i < perBucket; i++) numbers.push(source.uniform(bucket / numBuckets, (bucket + 1) / numBuckets));
  }
  source.shuffle(numbers);
  return Array.from({ length: batches }, (_, k) => numbers.slice(k * batchSize, (k + 1) * batchSize));
}

/** A function that gives uniform numbers, one slice of [0, 1) after the other. */
export interface BucketedUniform {
  (): number;
  /** Slices that are left of this round, next one last; what the source keeps is its own affair. */
  state(): number[];
  /**
   * Goes on from a state.
   *
   * @throws {SamplerError} `POOL_STATE` when it is none of as many slices
   */
  restore(state: readonly number[]): void;
}

/**
 * Stratified uniform numbers on demand: the N slices of [0, 1) in random order, one number from each, then again.
 *
 * @param numBuckets N; below 2 or null gives plain uniform numbers
 * @throws {SamplerError} `SAMPLER_OPTION` for slices that are no whole number from 0 to 2²⁴
 *
 * @example
 * ```ts
 * import { createBucketedUniform } from '@musubi/samplers';
 * import { PythonRandom } from '@musubi/random';
 *
 * const pool = createBucketedUniform(4, new PythonRandom(1));
 * const slices = Array.from({ length: 4 }, () => Math.floor(4 * pool()));
 * console.log(slices.toSorted()); // [ 0, 1, 2, 3 ]
 * ```
 */
export function createBucketedUniform(numBuckets: number | null, source: PoolSource): BucketedUniform {
  assertBuckets(numBuckets);
  const count = numBuckets === null || numBuckets < 2 ? 0 : numBuckets;
  const size = 1 / count;
  let slices: number[] = [];
  const next = (): number => {
    if (count === 0) return source.random();
    if (slices.length === 0) {
      slices = Array.from({ length: count }, (_, i) => i);
      source.shuffle(slices);
    }
    const i = slices.pop()!;
    return source.uniform(i * size, (i + 1) * size);
  };
  return Object.assign(next, {
    state: () => [...slices],
    restore(state: readonly number[]) {
      assertSlices(state, count);
      slices = [...state];
    },
  });
}

/** Beyond 2²⁴ slices float32 could not tell their numbers apart. */
function assertBuckets(count: number | null): void {
  if (count === null || (Number.isInteger(count) && count >= 0 && count <= 2 ** 24)) return;
  const problem = `num_timestep_buckets = ${count} is no number of slices.`;
  throw new SamplerError('SAMPLER_OPTION', problem, 'Use a whole number from 2 to 16777216, or leave it out.', {
    option: 'num_timestep_buckets',
    value: count,
  });
}

function assertSlices(state: readonly number[], count: number): void {
  const isSlice = (i: unknown): boolean => Number.isInteger(i) && Number(i) >= 0 && Number(i) < count;
  if (Array.isArray(state) && state.every(isSlice) && new Set(state).size === state.length) return;
  const problem = `The saved slices of timesteps do not belong to num_timestep_buckets = ${count}.`;
  throw new SamplerError('POOL_STATE', problem, 'Resume with the num_timestep_buckets of the saved run.', {
    option: 'num_timestep_buckets',
    value: count,
  });
}
