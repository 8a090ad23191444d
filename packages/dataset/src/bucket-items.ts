import type { Bucket } from './batch-order.ts';
import type { BucketKey } from './bucket-key.ts';
import type { DatasetConfig } from './dataset-types.ts';
import { DatasetError } from './errors.ts';

/** One image, video crop or video section to train on. */
export interface TrainingItem {
  /** File name of the image or video without extension. */
  readonly key: string;
  /** Paths of its cache files. */
  readonly latentCache: string;
  readonly textCache: string;
  readonly bucketKey: BucketKey;
}

/** Puts items into buckets in the order in which these are met, each item `repeats` times next to itself. */
export function bucketItems(items: readonly TrainingItem[], repeats: number): Bucket<TrainingItem>[] {
  const buckets = new Map<string, { key: BucketKey; items: TrainingItem[] }>();
  for (const item of items) {
    const id = JSON.stringify(item.bucketKey);
    const bucket = buckets.get(id) ?? { key: item.bucketKey, items: [] };
    buckets.set(id, bucket);
    for (let i = 0; i < repeats; i++) bucket.items.push(item);
  }
  return [...buckets.values()];
}

// no device holds more, and a pool of timesteps is as long as all batches together
const largestBatch = 65536;
// a list of this length is past any real training run and still fits in memory
const mostEntries = 100_000_000;

/** @throws {DatasetError} `OPTION_OUT_OF_RANGE` */
export function assertTrainable({ batchSize, numRepeats }: DatasetConfig, items: number, index: number): void {
  const refuse = (option: string, value: number, remedy: string): never => {
    const what = `datasets[${index}]: ${option} = ${value} cannot be trained with.`;
    throw new DatasetError('OPTION_OUT_OF_RANGE', what, remedy, { option, value });
  };
  if (!(batchSize >= 1 && batchSize <= largestBatch)) {
    refuse('batch_size', batchSize, `Use a number from 1 to ${largestBatch}.`);
  }
  if (!(numRepeats >= 1)) refuse('num_repeats', numRepeats, 'Use 1 or more, or take the dataset out of the file.');
  if (items * numRepeats > mostEntries) {
    refuse('num_repeats', numRepeats, `With ${items} items at most ${Math.floor(mostEntries / items)} is possible.`);
  }
}

/** `--num_timestep_buckets`: none, 0 or 1 for no pool. */
export function assertTimestepBuckets(count = 0): void {
  if (Number.isInteger(count) && count >= 0 && count <= mostTimestepBuckets) return;
  const what = `num_timestep_buckets = ${count} cannot be used.`;
  const remedy = `Use a whole number from 2 to ${mostTimestepBuckets}, or leave it out.`;
  throw new DatasetError('OPTION_OUT_OF_RANGE', what, remedy, { option: 'num_timestep_buckets', value: count });
}

// as many as a float32 timestep can tell apart
const mostTimestepBuckets = 16_777_216;
