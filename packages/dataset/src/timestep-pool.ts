/** The draws of Python's generator that a pool needs; `PythonRandom` fits. */
export interface PoolRandom {
  uniform(from: number, to: number): number;
  shuffle(list: number[]): void;
}

/**
 * Stratified timesteps of an epoch: `⌈batches·batchSize / n⌉` uniform values in each of the `n` equal parts of [0, 1],
 * shuffled, cut to `batches·batchSize` and dealt to the batches in order.
 *
 * @param strata `--num_timestep_buckets`, 2 or more
 * @returns `batchSize` values for each batch; a short batch uses the first ones
 */
export function drawTimestepPool(random: PoolRandom, batches: number, batchSize: number, strata: number): number[][] {
  const each = Math.ceil((batches * batchSize) / strata);
  const values: number[] = [];
  for (let i = 0; i < strata; i++) {
    for (let k = 0; k < each; k++) values.push(random.uniform(i / strata, (i + 1) / strata));
  }
  random.shuffle(values);
  return Array.from({ length: batches }, (_, i) => values.slice(i * batchSize, (i + 1) * batchSize));
}
