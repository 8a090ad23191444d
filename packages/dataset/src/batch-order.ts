import { PythonRandom } from '@musubi/random';

import { type BucketKey, compareBucketKeys } from './bucket-key.ts';
import { drawTimestepPool } from './timestep-pool.ts';

/** Items of one bucket, each as often as it is repeated. */
export interface Bucket<Item> {
  readonly key: BucketKey;
  readonly items: readonly Item[];
}

export interface OrderedBatch<Item> {
  readonly key: BucketKey;
  readonly items: readonly Item[];
  /** One value in [0, 1] an item from the epoch's stratified pool; null without a pool. */
  readonly timesteps: readonly number[] | null;
}

export interface BatchOrderOptions {
  readonly batchSize: number;
  /** Shared by the datasets of a run: the first `randint(0, 2^31)` of Python's generator seeded with `--seed`. */
  readonly datasetSeed: number;
  /** `--num_timestep_buckets`; a pool is drawn from 2 on. */
  readonly numTimestepBuckets?: number | undefined;
}

export interface BatchOrder<Item> {
  readonly batchCount: number;
  /** Batches before any epoch: buckets by ascending key, then consecutive slices; the last of a bucket may be short. */
  unshuffled(): OrderedBatch<Item>[];
  /** Batches of an epoch, counted from 1. */
  epoch(epoch: number): OrderedBatch<Item>[];
}

/**
 * The order in which a dataset gives its batches.
 *
 * At the start of epoch `e` Python's generator is seeded with `datasetSeed + e` and shuffles, in place, each bucket (in
 * the order of `buckets`) and then the list of batches; the orders of earlier epochs are the starting point, so every
 * epoch follows from the seed alone.
 *
 * @param buckets in the order they were first met among the cache files
 */
export function createBatchOrder<Item>(
  buckets: readonly Bucket<Item>[],
  { batchSize, datasetSeed, numTimestepBuckets = 0 }: BatchOrderOptions,
): BatchOrder<Item> {
  const slots = buckets
    .toSorted((a, b) => compareBucketKeys(a.key, b.key))
    .flatMap((bucket) => {
      const position = buckets.indexOf(bucket);
      const count = Math.ceil(bucket.items.length / batchSize);
      return Array.from({ length: count }, (_, i) => ({ bucket: position, start: i * batchSize }));
    });

  let state = start();
  function start() {
    return { epoch: 0, lists: buckets.map(({ items }) => [...items]), slots: [...slots], pool: noPool };
  }

  function advance(): void {
    state.epoch++;
    const random = new PythonRandom(datasetSeed + state.epoch);
    for (const list of state.lists) random.shuffle(list);
    random.shuffle(state.slots);
    if (numTimestepBuckets > 1) {
      state.pool = drawTimestepPool(random, state.slots.length, batchSize, numTimestepBuckets);
    }
  }

  function batches({ lists, slots: order, pool }: typeof state): OrderedBatch<Item>[] {
    return order.map(({ bucket, start: first }, index) => {
      const items = (lists[bucket] ?? []).slice(first, first + batchSize);
      return { key: buckets[bucket]?.key ?? [], items, timesteps: pool?.[index]?.slice(0, items.length) ?? null };
    });
  }

  return {
    batchCount: slots.length,
    unshuffled: () => batches(start()),
    epoch: (epoch) => {
      if (!Number.isInteger(epoch) || epoch < 1) throw new RangeError(`internal: epoch ${epoch}; epochs count from 1.`);
      if (epoch < state.epoch) state = start();
      while (state.epoch < epoch) advance();
      return batches(state);
    },
  };
}

const noPool: readonly (readonly number[])[] | null = null;
