import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { hasGolden, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { createBucketSelector, datasetArchitecture, type Pixels } from '../src/index.ts';
import { openCachingData } from '../src/node.ts';

type Picture = [name: string, width: number, height: number];

interface Case {
  name: string;
  architecture: string;
  resolution: [number, number];
  batch_size: number;
  num_repeats: number;
  options: Record<string, unknown>;
  images: Picture[];
  controls: Picture[] | null;
  batches: {
    key: (number | boolean)[];
    items: {
      item: string;
      caption: string;
      content_shape: number[];
      control_shapes: number[][] | null;
      latent_cache: string;
      text_cache: string;
    }[];
  }[];
}

const { cases }: { cases: Case[] } = hasGolden('dataset', 'image_batches.json')
  ? readGoldenJson('dataset', 'image_batches.json')
  : { cases: [] };

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'image-batches-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function writePictures(folder: string, pictures: readonly Picture[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, width, height] of pictures) {
    const picture = sharp({ create: { width, height, channels: 3, background: { r: 200, g: 100, b: 50 } } });
    await picture.png({ compressionLevel: 1 }).toFile(join(folder, `${name}.png`));
    await writeFile(join(folder, `${name}.txt`), `  caption of ${name} \n`);
  }
}

/** Cases do not say how they were bucketed: the first way in which all their sizes come out. */
function bucketOptions({ resolution, images, batches }: Case): Record<string, boolean> {
  const items = batches.flatMap((batch) => batch.items);
  const ways = [[true, false] as const, [true, true] as const, [false, false] as const];
  const way = ways.find(([enableBucket, bucketNoUpscale]) => {
    const select = createBucketSelector({ resolution, enableBucket, bucketNoUpscale });
    return items.every(({ item, content_shape: [height, width] }) => {
      const [, ...size] = images.find(([name]) => `${name}.png` === item) ?? ['', 0, 0];
      return select(size).join() === [width, height].join();
    });
  });
  return { enable_bucket: way?.[0] ?? true, bucket_no_upscale: way?.[1] ?? false };
}

/** Writes the pictures and the configuration of a case. */
async function write(one: Case): Promise<string> {
  const folder = join(root, one.name);
  await writePictures(join(folder, 'images'), one.images);
  if (one.controls) await writePictures(join(folder, 'controls'), one.controls);
  const table = {
    image_directory: join(folder, 'images'),
    cache_directory: join(folder, 'cache'),
    ...(one.controls ? { control_directory: join(folder, 'controls') } : {}),
    caption_extension: '.txt',
    resolution: one.resolution,
    batch_size: one.batch_size,
    num_repeats: one.num_repeats,
    ...bucketOptions(one),
    ...one.options,
  };
  const path = join(folder, 'dataset.json');
  await writeFile(path, JSON.stringify({ datasets: [table] }));
  return path;
}

const shapeOf = ({ width, height, channels }: Pixels) => [height, width, channels];

describe.each(cases)('$name', (one) => {
  test('gives the batches of the original', async () => {
    const data = await openCachingData({
      datasetConfigPath: await write(one),
      architecture: datasetArchitecture(one.architecture),
      workers: 1,
    });
    const [dataset] = data.datasets;
    const batches: unknown[] = [];
    for await (const { key, items } of dataset?.pictureBatches() ?? []) {
      batches.push({
        key,
        items: items.map(({ key: path, caption, targetPixels, controlPixels, latentCache, textCache }) => ({
          item: basename(path),
          caption,
          content_shape: shapeOf(targetPixels[0] as Pixels),
          control_shapes: one.controls ? controlPixels.map(shapeOf) : null,
          latent_cache: basename(latentCache),
          text_cache: basename(textCache),
        })),
      });
    }
    await data.close();
    expect(data.failures).toEqual([]);
    expect(batches).toEqual(one.batches);
  });
});

test('every kind of case is there in the default folder', () => {
  if (!isDefaultGolden) return;
  expect(cases.some(({ controls }) => controls)).toBe(true);
  expect(cases.some(({ architecture }) => architecture === 'wan')).toBe(true);
});
