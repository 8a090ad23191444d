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
 */
export function epochTimesteps(
  batches: number,
  batchSize: number,
  numBuckets: number | null,
  source: PoolSource,
): number[][] | null {
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

/**
 * Stratified uniform numbers on demand: the N slices of [0, 1) in random order, one number from each, then again.
 *
 * @param numBuckets N; below 2 or null gives plain uniform numbers
 */
export function createBucketedUniform(numBuckets: number | null, source: PoolSource): () => number {
  if (numBuckets === null || numBuckets < 2) return () => source.random();
  const size = 1 / numBuckets;
  let slices: number[] = [];
  return () => {
    if (slices.length === 0) {
      slices = Array.from({ length: numBuckets }, (_, i) => i);
      source.shuffle(slices);
    }
    const i = slices.pop()!;
    return source.uniform(i * size, (i + 1) * size);
  };
}
