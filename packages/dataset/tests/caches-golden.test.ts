import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

import { TorchGenerator } from '@musubi/random';
import { fromFloat32, type SafetensorsDtype } from '@musubi/safetensors';
import { openSafetensorsFile } from '@musubi/safetensors/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { goldenPath, hasGolden, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import {
  type BatchTensor,
  bucketItems,
  cacheContent,
  createBatchOrder,
  type DatasetWarning,
  datasetArchitecture,
  findItems,
  mergeCaches,
  readCache,
  stackItems,
  type TrainingBatch,
} from '../src/index.ts';
import { loadDatasetConfig, openTrainingData } from '../src/node.ts';

interface Tensor {
  dtype: string;
  shape: number[];
  sha256: string;
}

interface Dataset {
  name: string;
  folder: string;
  architecture: string;
  kind: 'image' | 'video';
  batch_size: number;
  num_train_items: number;
  batches: {
    bucket: (number | boolean | string)[];
    latent_files: string[];
    text_files: string[];
    batch: Record<string, Tensor | { list: Tensor[] } | null>;
  }[];
}

interface Golden {
  files: { file: string; tensors: Record<string, Tensor> }[];
  datasets: Dataset[];
  key_names: { key: string; batch_key: string; stays_list: boolean }[];
}

const golden: Golden = hasGolden('files', 'caches.json')
  ? readGoldenJson('files', 'caches.json')
  : { files: [], datasets: [], key_names: [] };

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'dataset-caches-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Writes a configuration with the options that the golden dataset was made with. */
async function writeConfig(one: Dataset) {
  const path = join(root, `${one.name}.json`);
  const cache_directory = goldenPath('files', one.folder);
  const facts = ['name', 'folder', 'architecture', 'kind', 'num_train_items', 'batches', 'note'];
  const options = Object.fromEntries(Object.entries(one).filter(([key]) => !facts.includes(key)));
  const table = { [`${one.kind}_directory`]: 'no_source', cache_directory, enable_bucket: true, ...options };
  await writeFile(path, JSON.stringify({ datasets: [table] }));
  return { path, cache_directory };
}

describe.each(golden.datasets)('$name', (one) => {
  test('gives the batches of the original, unshuffled', async () => {
    const { path, cache_directory } = await writeConfig(one);
    const [{ config }] = (await loadDatasetConfig({
      datasetConfigPath: path,
      architecture: one.architecture,
    })) as [Awaited<ReturnType<typeof loadDatasetConfig>>[number]];
    const names = (await readdir(cache_directory)).toReversed(); // the order of the folder does not matter
    const pathOf = (name: string) => join(cache_directory, name);
    const openCache = openSafetensorsFile;
    const warnings: DatasetWarning[] = [];
    const warn = (warning: DatasetWarning) => warnings.push(warning);
    const { items } = await findItems(config, { path: cache_directory, names, pathOf }, { openCache, warn });

    const buckets = bucketItems(items, config.numRepeats);
    const order = createBatchOrder(buckets, { batchSize: config.batchSize, datasetSeed: 0 });
    const batches = order.unshuffled();
    expect(batches.reduce((sum, batch) => sum + batch.items.length, 0)).toBe(one.num_train_items);
    expect(
      batches.map((batch) => ({
        bucket: batch.key,
        latent_files: batch.items.map(({ latentCache }) => basename(latentCache)),
        text_files: batch.items.map(({ textCache }) => basename(textCache)),
      })),
    ).toEqual(one.batches.map(({ bucket, latent_files, text_files }) => ({ bucket, latent_files, text_files })));

    for (const [index, batch] of batches.entries()) {
      const contents = await Promise.all(
        batch.items.map(async ({ latentCache, textCache }) =>
          mergeCaches(await readCache(latentCache, openCache), await readCache(textCache, openCache)),
        ),
      );
      const { stacked, lists, incomplete } = stackItems(contents);
      expect(incomplete).toEqual([]);
      const { timesteps, ...expected } = one.batches[index]?.batch ?? {};
      expect(timesteps).toBeNull();
      expect(Object.fromEntries([...stacked].map(([name, tensor]) => [name, describeTensor(tensor)]))).toEqual(
        Object.fromEntries(Object.entries(expected).filter(([, value]) => value && !('list' in value))),
      );
      expect(Object.fromEntries([...lists].map(([name, list]) => [name, { list: list.map(describeTensor) }]))).toEqual(
        Object.fromEntries(Object.entries(expected).filter(([, value]) => value && 'list' in value)),
      );
    }
    const withoutText = names.filter((name) => name.endsWith(`_${one.architecture}.safetensors`)).length - items.length;
    expect(warnings.map(({ code }) => code)).toEqual(Array.from({ length: withoutText }, () => 'TEXT_CACHE_MISSING'));
  });

  test('gives the same items in a shuffled epoch', async () => {
    const { path } = await writeConfig(one);
    const data = await openTrainingData({
      datasetConfigPath: path,
      architecture: datasetArchitecture(one.architecture),
      datasetSeed: 7,
      numTimestepBuckets: 4,
    });
    expect(data.numTrainItems).toBe(one.num_train_items);
    expect(data.batchesPerEpoch).toBe(one.batches.length);
    const batches: TrainingBatch[] = [];
    for await (const batch of data.epoch(1, new TorchGenerator(1))) batches.push(batch);
    expect(
      batches
        .map(({ items }) => items.map(({ latentCache }) => basename(latentCache)))
        .flat()
        .toSorted(),
    ).toEqual(
      one.batches
        .map(({ latent_files }) => latent_files)
        .flat()
        .toSorted(),
    );
    for (const { items, stacked, timesteps, bucketKey } of batches) {
      expect(timesteps).toHaveLength(items.length);
      expect(stacked.get('latents')?.shape[0]).toBe(items.length);
      expect(one.batches.map(({ bucket }) => bucket)).toContainEqual(bucketKey);
    }
  });
});

test.each(golden.files)('reads $file', async ({ file, tensors }) => {
  const values = await readCache(goldenPath('files', file), openSafetensorsFile);
  expect(
    Object.fromEntries(values.map((tensor) => [tensor.key, { ...describeTensor(tensor), dtype: tensor.dtype }])),
  ).toEqual(tensors);
});

test.each(golden.key_names)('$key is $batch_key in a batch', ({ key, batch_key, stays_list }) => {
  expect(cacheContent(key)).toEqual({ name: batch_key, isList: stays_list });
});

test('a Wan text-to-video dataset is there in the default folder', () => {
  if (!isDefaultGolden) return;
  expect(golden.datasets.map(({ name }) => name)).toContain('wan_t2v_image');
});

test('every kind of case is there in the default folder', () => {
  if (!isDefaultGolden) return;
  expect(golden.datasets.length).toBeGreaterThan(0);
  expect(golden.files.length).toBeGreaterThan(0);
});

/** PyTorch's name of the dtype, shape, and the hash of the bytes in the stored dtype. */
function describeTensor({ dtype, shape, data }: BatchTensor): Tensor {
  const sha256 = createHash('sha256').update(storedBytes(data, dtype)).digest('hex').slice(0, 16);
  return { dtype: torchNames[dtype] ?? dtype, shape: [...shape], sha256 };
}

function storedBytes(values: Float32Array, dtype: SafetensorsDtype): Uint8Array {
  if (dtype === 'I64') return new Uint8Array(BigInt64Array.from(values, (value) => BigInt(value)).buffer);
  if (dtype === 'I32') return new Uint8Array(Int32Array.from(values).buffer);
  if (dtype === 'BOOL') return Uint8Array.from(values);
  return fromFloat32(values, dtype);
}

const torchNames: Partial<Record<SafetensorsDtype, string>> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  I64: 'int64',
  I32: 'int32',
  BOOL: 'bool',
};
