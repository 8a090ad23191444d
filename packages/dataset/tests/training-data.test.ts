import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { TorchGenerator } from '@musubi/random';
import { openSafetensorsFile, writeSafetensorsFile } from '@musubi/safetensors/node';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { createTrainingData, DatasetError, type TrainingBatch, type TrainingData } from '../src/index.ts';
import { loadDatasetConfig, openTrainingData } from '../src/node.ts';

const architecture = { shortName: 'wan', longName: 'wan' };
let folder = '';
let lines: string[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'training-data-'));
  lines = [];
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A dataset of 64 x 64 images with caches in `cache`. */
async function writeDataset(options = '', folders = ['cache']): Promise<void> {
  const tables = folders.map(
    (name) =>
      `[[datasets]]\nimage_directory = "images/${name}"\ncache_directory = "${name}"\nresolution = 64\n${options}\n`,
  );
  await writeFile(join(folder, 'dataset.toml'), tables.join('\n'));
  for (const name of folders) await mkdir(join(folder, name), { recursive: true });
}

const float32 = (values: readonly number[]) => new Uint8Array(Float32Array.from(values).buffer);

async function writeLatents(
  base: string,
  values = [0, 1, 2, 3],
  shape = [1, 1, 2, 2],
  size = '0064x0064',
): Promise<string> {
  const file = join(folder, 'cache', `${base}_${size}_wan.safetensors`);
  await writeSafetensorsFile(file, [{ name: 'latents_1x2x2_float32', dtype: 'F32', shape, data: float32(values) }]);
  return file;
}

async function writeText(base: string, length = 2): Promise<void> {
  const data = float32(Array.from({ length: length * 3 }, (_, i) => i));
  const tensor = { name: 'varlen_t5_float32', dtype: 'F32', shape: [length, 3], data } as const;
  await writeSafetensorsFile(join(folder, 'cache', `${base}_wan_te.safetensors`), [tensor]);
}

const open = () =>
  openTrainingData({
    datasetConfigPath: 'dataset.toml',
    architecture,
    datasetSeed: 1,
    workingDirectory: folder,
    logger: (line) => lines.push(line),
  });

async function collect(data: TrainingData, epoch = 1): Promise<TrainingBatch[]> {
  const batches: TrainingBatch[] = [];
  for await (const batch of data.epoch(epoch, new TorchGenerator(3))) batches.push(batch);
  return batches;
}

async function failure(promise: Promise<unknown>): Promise<DatasetError> {
  const [result] = await Promise.allSettled([promise]);
  const reason: unknown = result.status === 'rejected' ? result.reason : 'it did not fail';
  if (!(reason instanceof DatasetError)) throw reason;
  expect(reason.message.endsWith(reason.remedy)).toBe(true);
  return reason;
}

describe('batches', () => {
  test('stack latents and keep texts apart', async () => {
    await writeDataset('batch_size = 2');
    await writeLatents('a', [1, 2, 3, 4]);
    await writeLatents('b', [5, 6, 7, 8]);
    await writeText('a', 2);
    await writeText('b', 5);
    const [batch] = await collect(await open());
    const order = batch?.items.map(({ key }) => key);
    expect(order?.toSorted()).toEqual(['a', 'b']);
    expect(batch?.stacked.get('latents')).toMatchObject({ dtype: 'F32', shape: [2, 1, 1, 2, 2] });
    const rows = { a: [1, 2, 3, 4], b: [5, 6, 7, 8] } as Record<string, number[]>;
    expect([...(batch?.stacked.get('latents')?.data ?? [])]).toEqual(order?.flatMap((key) => rows[key] ?? []));
    expect(batch?.lists.get('t5')?.map(({ shape }) => shape)).toEqual(order?.map((key) => [key === 'a' ? 2 : 5, 3]));
    expect(batch).toMatchObject({ datasetIndex: 0, bucket: [64, 64], timesteps: null });
  });

  test('use no draw of the generator but the two seeds', async () => {
    await writeDataset();
    for (const base of ['a', 'b', 'c']) {
      await writeLatents(base);
      await writeText(base);
    }
    const data = await open();
    const generator = new TorchGenerator(3);
    const batches = data.epoch(2, generator);
    expect(generator.wordsDrawn).toBe(4);
    for await (const batch of batches) expect(batch.items).toHaveLength(1);
    expect(generator.wordsDrawn).toBe(4);
  });

  test('are read ahead by one, and files are closed when the caller stops', async () => {
    await writeDataset();
    for (const base of ['a', 'b', 'c', 'd']) {
      await writeLatents(base);
      await writeText(base);
    }
    let opened = 0;
    let closed = 0;
    const [{ config }] = (await loadDatasetConfig({
      datasetConfigPath: 'dataset.toml',
      architecture: 'wan',
      workingDirectory: folder,
    })) as [Awaited<ReturnType<typeof loadDatasetConfig>>[number]];
    const items = ['a', 'b', 'c', 'd'].map((key) => ({
      key,
      latentCache: join(folder, 'cache', `${key}_0064x0064_wan.safetensors`),
      textCache: join(folder, 'cache', `${key}_wan_te.safetensors`),
      bucketKey: [64, 64, 9],
    }));
    const data = createTrainingData([{ config, hasControl: false, items }], {
      datasetSeed: 1,
      openCache: async (file) => {
        opened++;
        const store = await openSafetensorsFile(file);
        return { ...store, close: () => store.close().then(() => void closed++) };
      },
    });
    for await (const _ of data.epoch(1, new TorchGenerator(3))) {
      expect(opened).toBe(4); // two files of this batch, two of the next
      break;
    }
    expect(opened).toBe(4);
    expect(closed).toBe(4);
  });

  test('give the current batch before an unreadable next one is reported', async () => {
    await writeDataset();
    for (const base of ['a', 'b']) {
      await writeLatents(base);
      await writeText(base);
    }
    const data = await open();
    const [, second] = (await collect(data)).map(({ items }) => items[0]);
    await rm(second?.textCache ?? '');
    const seen: string[] = [];
    const error = await failure(
      (async () => {
        for await (const batch of data.epoch(1, new TorchGenerator(3))) seen.push(batch.items[0]?.key ?? '');
      })(),
    );
    expect(error).toMatchObject({ code: 'CACHE_UNREADABLE', file: second?.textCache });
    expect(seen).toHaveLength(1);
  });

  test('warn once when items of a batch differ in what they have', async () => {
    await writeDataset('batch_size = 2\nnum_repeats = 4');
    await writeLatents('a');
    await writeText('a');
    await writeText('b');
    const shape = [1, 1, 2, 2];
    await writeSafetensorsFile(join(folder, 'cache', 'b_0064x0064_wan.safetensors'), [
      { name: 'latents_1x2x2_float32', dtype: 'F32', shape, data: float32([1, 2, 3, 4]) },
      { name: 'latents_image_1x2x2_float32', dtype: 'F32', shape, data: float32([1, 2, 3, 4]) },
    ]);
    const data = await open();
    for (const epoch of [1, 2, 3]) await collect(data, epoch);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('"latents_image"');
  });
});

describe('bad caches', () => {
  beforeEach(() => writeDataset('batch_size = 2'));

  test('NaN is refused with file, key and place', async () => {
    const file = await writeLatents('a', [1, 2, NaN, 4]);
    await writeText('a');
    const data = await open();
    const error = await failure(collect(data));
    expect(error).toMatchObject({ code: 'CACHE_NOT_FINITE', file, key: 'latents_1x2x2_float32' });
    expect(error.message).toContain('element 2 of latents_1x2x2_float32 is NaN');
  });

  test('a truncated file is refused by name', async () => {
    await writeLatents('a');
    await writeText('a');
    const file = join(folder, 'cache', 'a_wan_te.safetensors');
    await truncate(file, 100);
    const data = await open();
    const error = await failure(collect(data));
    expect(error).toMatchObject({ code: 'CACHE_UNREADABLE', file });
    expect(error.cause).toMatchObject({ name: 'SafetensorsError' });
  });

  test('a truncated latent cache is found before training starts', async () => {
    const file = await writeLatents('a');
    await writeText('a');
    await truncate(file, 60);
    expect(await failure(open())).toMatchObject({ code: 'CACHE_UNREADABLE', file });
  });

  test('shapes that differ within a batch are refused with both', async () => {
    await writeLatents('a');
    await writeLatents('b', [0, 1], [1, 1, 1, 2]);
    await writeText('a');
    await writeText('b');
    const error = await failure(collect(await open()));
    expect(error).toMatchObject({ code: 'BATCH_MIXED_SHAPES', key: 'latents_1x2x2_float32' });
    expect(error.message).toMatch(/\[1, 1, 2, 2\]/);
    expect(error.message).toMatch(/\[1, 1, 1, 2\]/);
  });

  test('data types that differ within a batch are refused', async () => {
    await writeLatents('a');
    await writeText('a');
    await writeText('b');
    await writeSafetensorsFile(join(folder, 'cache', 'b_0064x0064_wan.safetensors'), [
      { name: 'latents_1x2x2_bfloat16', dtype: 'BF16', shape: [1, 1, 2, 2], data: new Uint8Array(8) },
    ]);
    expect(await failure(collect(await open()))).toMatchObject({ code: 'BATCH_MIXED_DTYPES' });
  });

  test('one content under two names is refused', async () => {
    await writeText('a');
    const file = join(folder, 'cache', 'a_0064x0064_wan.safetensors');
    await writeSafetensorsFile(file, [
      { name: 'latents_1x2x2_float32', dtype: 'F32', shape: [1, 1, 2, 2], data: float32([1, 2, 3, 4]) },
      { name: 'latents_1x2x2_bfloat16', dtype: 'BF16', shape: [1, 1, 2, 2], data: new Uint8Array(8) },
    ]);
    expect(await failure(collect(await open()))).toMatchObject({ code: 'CACHE_DUPLICATE_CONTENT', file });
  });

  test('a name without size is refused', async () => {
    const file = join(folder, 'cache', 'odd_wan.safetensors');
    await writeFile(file, '');
    expect(await failure(open())).toMatchObject({ code: 'CACHE_NAME', file });
  });

  test('files macOS leaves beside the caches are no caches', async () => {
    await writeLatents('a');
    await writeText('a');
    await writeFile(join(folder, 'cache', '._a_0064x0064_wan.safetensors'), 'resource fork');
    expect((await open()).numTrainItems).toBe(1);
  });
});

describe('nothing to train on', () => {
  test('names the folders and what was looked for', async () => {
    await writeDataset('', ['cache', 'other']);
    await rm(join(folder, 'other'), { recursive: true });
    await writeLatents('a');
    const error = await failure(open());
    expect(error).toMatchObject({ code: 'NO_TRAINING_ITEMS', folders: ['cache', 'other'] });
    expect(error.message).toMatchInlineSnapshot(
      `"There is nothing to train on: no *_wan.safetensors with its *_wan_te.safetensors. Looked in "cache": 1 latent caches, none with its text cache; "other", which does not exist. Cache latents and text encoder outputs with this dataset configuration, or correct cache_directory."`,
    );
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('a_wan_te.safetensors');
  });

  test('says which caches there are instead', async () => {
    await writeDataset();
    await writeFile(join(folder, 'cache', 'a_0064x0064_hv.safetensors'), '');
    expect((await failure(open())).message).toContain('but caches of hv');
  });

  test('in one of two datasets is only a warning', async () => {
    await writeDataset('', ['cache', 'other']);
    await writeLatents('a');
    await writeText('a');
    const data = await open();
    expect(data.datasets.map(({ numItems }) => numItems)).toEqual([1, 0]);
    expect(lines).toEqual([expect.stringContaining('datasets[1] has nothing to train on')]);
    expect(await collect(data)).toHaveLength(1);
  });
});

describe('configurations that cannot be trained with', () => {
  test.each([
    ['batch_size = 0', 'batch_size'],
    ['batch_size = -2', 'batch_size'],
    ['num_repeats = 0', 'num_repeats'],
    ['num_repeats = 4503599627370495', 'num_repeats'],
    ['enable_bucket = true\nresolution = 8', 'resolution'],
    ['resolution = 0', 'resolution'],
    ['resolution = [1, 4503599627370495]', 'resolution'],
  ])('%s', async (text, option) => {
    await writeDataset();
    await writeLatents('a');
    await writeText('a');
    const table = `[[datasets]]\nimage_directory = "i"\ncache_directory = "cache"\n${text}\n`;
    await writeFile(join(folder, 'dataset.toml'), table);
    expect(await failure(open())).toMatchObject({ code: 'OPTION_OUT_OF_RANGE', option });
  });

  test('a JSONL dataset without cache folder', async () => {
    await writeFile(join(folder, 'dataset.toml'), '[[datasets]]\nimage_jsonl_file = "list.jsonl"\n');
    await writeFile(join(folder, 'list.jsonl'), '{"image_path": "a.png", "caption": "a"}\r\n');
    expect(await failure(open())).toMatchObject({ code: 'CACHE_DIRECTORY_MISSING' });
  });

  test('a file that does not exist', async () => {
    expect(await failure(open())).toMatchObject({ code: 'FILE_NOT_FOUND' });
  });

  test('a file that is not UTF-8', async () => {
    await writeFile(join(folder, 'dataset.toml'), new Uint8Array([0x61, 0xff, 0xfe]));
    expect(await failure(open())).toMatchObject({ code: 'FILE_UNREADABLE' });
  });
});
