import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, extname, join } from 'node:path';

import type { TensorStore } from '@musubi/safetensors';
import { openSafetensorsFile } from '@musubi/safetensors/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { goldenPath, hasGolden, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { alphaOf, normalizePixels, type Pixels, resizeGeometry, resizeLanczos, resizeToBucket } from '../src/index.ts';
import { openCachingData } from '../src/node.ts';
import { decodePictureFile } from '../src/node/decode-picture.ts';

interface Case {
  image: string;
  size: [number, number];
  channels: 3 | 4;
  bucket: [number, number];
  tensor: string;
  method: string;
}

const has = hasGolden('dataset', 'image_preprocessing.json') && hasGolden('dataset', 'image_preprocessing.safetensors');
const { cases }: { cases: Case[] } = has ? readGoldenJson('dataset', 'image_preprocessing.json') : { cases: [] };
const nameOf = (image: string) => basename(image, extname(image));
const images = [...new Map(cases.map((one) => [one.image, one])).values()];

let vectors: TensorStore | undefined;
let folder = '';
beforeAll(async () => {
  if (has) vectors = await openSafetensorsFile(goldenPath('dataset', 'image_preprocessing.safetensors'));
  folder = await mkdtemp(join(tmpdir(), 'pictures-golden-'));
});
afterAll(async () => {
  await vectors?.close();
  await rm(folder, { recursive: true, force: true });
});

async function read(name: string): Promise<Pixels> {
  const [height = 0, width = 0, channels = 3] = vectors?.tensors.get(name)?.shape ?? [];
  const data = (await vectors?.read(name)) ?? new Uint8Array();
  return { width, height, channels: channels as 3 | 4, data };
}

// The original averages areas in float32 and rounds, so a value halfway between two may fall on the other side. Measured: at
// most 1, in at most 8 samples of a picture; enlarging is exact.
function expectSamePixels(actual: Pixels, expected: Pixels): void {
  expect([actual.width, actual.height, actual.channels]).toEqual([expected.width, expected.height, expected.channels]);
  expect(actual.data).toBeAllClose(expected.data, { atol: 1 });
  const total = actual.data.reduce((sum, value, i) => sum + Math.abs(value - (expected.data[i] ?? 0)), 0);
  expect(total / actual.data.length).toBeLessThan(0.01);
}

test.each(images)('decodes $image', async ({ image, size }) => {
  const pixels = await decodePictureFile(goldenPath('dataset', image));
  expect([pixels.width, pixels.height]).toEqual(size);
  const expected = await read(`decoded/${nameOf(image)}`);
  expect(pixels.channels).toBe(expected.channels);
  expect(pixels.data).toBeAllClose(expected.data);
});

test.each(cases)('$tensor ($method)', async ({ image, bucket, size, tensor, method }) => {
  expect(resizeGeometry(size, bucket).method ?? 'none').toBe(method);
  expectSamePixels(resizeToBucket(await read(`decoded/${nameOf(image)}`), bucket), await read(tensor));
});

// smaller pictures are refused, see picture-sizes.ts
const encodable = cases.filter(({ bucket }) => Math.min(...bucket) >= 8);

describe('from the files, in worker threads', () => {
  const found = new Map<string, Pixels[]>();

  // one dataset a size; lists take the same file as target and as control image
  beforeAll(async () => {
    const sizes = new Map(encodable.map(({ bucket }) => [bucket.join('x'), bucket]));
    const datasets = await Promise.all(
      [...sizes.values()].map(async (bucket) => {
        const list = join(folder, `${bucket.join('x')}.jsonl`);
        const those = encodable.filter((one) => one.bucket.join() === bucket.join());
        const lines = those.map(({ image }) => {
          const path = goldenPath('dataset', image);
          return JSON.stringify({ image_path: path, control_path: path, caption: '' });
        });
        await writeFile(list, lines.join('\n'));
        return { image_jsonl_file: list, resolution: bucket, cache_directory: `${list}.cache` };
      }),
    );
    const datasetConfigPath = join(folder, 'dataset.json');
    await writeFile(datasetConfigPath, JSON.stringify({ datasets }));
    if (encodable.length === 0) return;
    const architecture = { shortName: 'qil', longName: 'qwen_image' }; // keeps alpha
    const data = await openCachingData({ datasetConfigPath, architecture, workers: 1 });
    for (const dataset of data.datasets) {
      for await (const { items } of dataset.pictureBatches()) {
        for (const { key, bucket, targetPixels, controlPixels } of items) {
          found.set(`${nameOf(key)}/${bucket.join('x')}`, [...targetPixels, ...controlPixels]);
        }
      }
    }
    await data.close();
    expect(data.failures).toEqual([]);
  });

  test.each(encodable)('$tensor as target and as control image', async ({ image, bucket, tensor }) => {
    const pictures = found.get(`${nameOf(image)}/${bucket.join('x')}`) ?? [];
    expect(pictures).toHaveLength(2);
    for (const pixels of pictures) expectSamePixels(pixels, await read(tensor));
  });
});

test('normalizes to -1..1, alpha left out', async () => {
  for (const [name, { shape }] of vectors?.tensors ?? []) {
    if (!name.startsWith('normalized/')) continue;
    const pixels = await read(name.slice('normalized/'.length));
    expect(shape).toEqual([1, 3, pixels.height, pixels.width]);
    expect(normalizePixels(pixels)).toBeAllClose((await vectors?.readFloat32(name)) ?? []);
  }
});

test('gives the contents of one-frame training and the mask of a control image', async () => {
  const contents = vectors?.tensors.get('one_frame/contents');
  const controlName = [...(vectors?.tensors.keys() ?? [])].find((name) => name.startsWith('one_frame/control_rgba_'));
  if (!vectors || !contents || !controlName) {
    expect(isDefaultGolden).toBe(false);
    return;
  }
  const [, , frames = 0, height = 0, width = 0] = contents.shape;
  const expected = await vectors.readFloat32('one_frame/contents'); // [1, channel, frame, height, width]
  const area = width * height;
  const frame = (f: number) =>
    [0, 1, 2].flatMap((c) => [...expected.subarray((c * frames + f) * area, (c * frames + f + 1) * area)]);

  const control = await read(controlName);
  expect(normalizePixels(control)).toBeAllClose(frame(0));
  const targets = cases.filter(({ bucket, channels }) => channels === 3 && bucket.join() === `${width},${height}`);
  const normalized = await Promise.all(targets.map(async ({ tensor }) => normalizePixels(await read(tensor))));
  const target = frame(1);
  expect(normalized.some((values) => values.every((value, i) => value === target[i]))).toBe(true);

  const alpha = alphaOf(control);
  if (!alpha) throw new Error(`${controlName} has no alpha`);
  const mask = resizeLanczos(alpha, [Math.floor(width / 8), Math.floor(height / 8)]);
  const values = Float32Array.from(mask.data, (value) => value / 255);
  expect(values).toBeAllClose(await vectors.readFloat32('one_frame/alpha_mask'));
});

test('every kind of case is there in the default folder', () => {
  if (!isDefaultGolden) return;
  expect(new Set(cases.map(({ method }) => method))).toEqual(new Set(['area', 'lanczos', 'none']));
  expect(new Set(cases.map(({ channels }) => channels))).toEqual(new Set([3, 4]));
});
