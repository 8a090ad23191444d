import { PythonRandom } from '@musubi/random';
import { describe, expect, test } from 'vitest';

import { hasGolden, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { type Bucket, createBatchOrder, type OrderedBatch } from '../src/index.ts';

interface Batch {
  bucket: (number | boolean | string)[];
  items: string[];
  timesteps?: number[];
}

interface Golden {
  python_random: { seed: number; dataset_seed: number }[];
  orders: {
    batch_size: number;
    dataset_seed: number;
    num_timestep_buckets: number | null;
    buckets: Bucket<string>[];
    unshuffled: Batch[];
    epochs: { epoch: number; batches: Batch[] }[];
  }[];
}

const golden: Golden = hasGolden('dataset', 'batch_order.json')
  ? readGoldenJson('dataset', 'batch_order.json')
  : { python_random: [], orders: [] };

const plain = ({ key, items, timesteps }: OrderedBatch<string>) => ({
  bucket: key,
  items,
  ...(timesteps ? { timesteps } : {}),
});

describe.each(golden.orders)('batches of $batch_size, seed $dataset_seed, pool $num_timestep_buckets', (one) => {
  const create = () =>
    createBatchOrder(one.buckets, {
      batchSize: one.batch_size,
      datasetSeed: one.dataset_seed,
      numTimestepBuckets: one.num_timestep_buckets ?? undefined,
    });

  test('before shuffling', () => {
    expect(create().unshuffled().map(plain)).toEqual(one.unshuffled);
    expect(create().batchCount).toBe(one.unshuffled.length);
  });

  test('epochs one after the other', () => {
    const order = create();
    expect(one.epochs.map(({ epoch }) => ({ epoch, batches: order.epoch(epoch).map(plain) }))).toEqual(one.epochs);
  });

  test('each epoch on its own, and going back', () => {
    const order = create();
    for (const { epoch, batches } of one.epochs.toReversed()) {
      expect(create().epoch(epoch).map(plain)).toEqual(batches);
      expect(order.epoch(epoch).map(plain)).toEqual(batches);
    }
  });
});

test.each(golden.python_random)('dataset seed of --seed $seed', ({ seed, dataset_seed }) => {
  expect(new PythonRandom(seed).randint(0, 2 ** 31)).toBe(dataset_seed);
});

test('every kind of case is there in the default folder', () => {
  if (!isDefaultGolden) return;
  expect(golden.orders.length).toBeGreaterThan(0);
});
