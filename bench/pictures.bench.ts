import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';

import sharp from 'sharp';

import { type CachingData, openCachingData } from '../packages/dataset/src/node.ts';
import { type Size } from '../packages/dataset/src/index.ts';
import { type Bench, median } from './harness.ts';
import { type BenchPicture, createLimit, writePictures } from './pictures/write-pictures.ts';

const count = Number(process.env['MUSUBI_BENCH_PICTURES'] ?? 60);
const megapixels = 12;
const rounds = 5;
const threads = availableParallelism();

export const bench: Bench = {
  title: `${count} JPEG, PNG and WebP files of 0.5 to ${megapixels} megapixels to buckets of 960x544, ${threads} threads, medians of ${rounds} rounds`,
  async run(log) {
    const folder = await mkdtemp(join(tmpdir(), 'musubi-bench-'));
    try {
      log('writing pictures …');
      const pictures = await writePictures(folder, count, megapixels);
      const data = await open(folder);
      const planSeconds = await seconds(() => data.datasets[0]?.plan());
      const tasks = await sharpTasks(data, pictures);
      await cacheAll(data); // starts and warms the threads
      const times: { ours: number; sharp: number; sharpWhole: number }[] = [];
      for (let round = 1; round <= rounds; round++) {
        log(`round ${round} of ${rounds} …`);
        times.push({
          ours: planSeconds + (await seconds(() => cacheAll(data))),
          sharp: await bestOfSharp(tasks, true),
          sharpWhole: await bestOfSharp(tasks, false),
        });
      }
      await data.close();
      const rate = (of: (one: (typeof times)[number]) => number) => median(times.map((one) => count / of(one)));
      const ratio = (of: (one: (typeof times)[number]) => number) => median(times.map((one) => of(one) / one.ours));
      return [
        { name: 'pictures_per_second', value: rate(({ ours }) => ours), unit: 'a second' },
        { name: 'pictures_sharp_per_second', value: rate((one) => one.sharp), unit: 'a second' },
        { name: 'pictures_sharp_whole_per_second', value: rate((one) => one.sharpWhole), unit: 'a second' },
        { name: 'pictures_sharp_fraction', value: ratio((one) => one.sharp), unit: "of sharp's rate", atLeast: 0.4 },
        { name: 'pictures_sharp_whole_fraction', value: ratio((one) => one.sharpWhole), unit: "of sharp's rate" },
      ];
    } finally {
      await rm(folder, { recursive: true });
    }
  },
};

async function open(folder: string): Promise<CachingData> {
  const toml =
    '[[datasets]]\nimage_directory = "."\ncaption_extension = ".txt"\nresolution = [960, 544]\nenable_bucket = true';
  await writeFile(join(folder, 'dataset.toml'), toml);
  const architecture = { shortName: 'wan', longName: 'wan' };
  return openCachingData({ datasetConfigPath: join(folder, 'dataset.toml'), workingDirectory: folder, architecture });
}

/** All pictures as caching gets them. */
async function cacheAll(data: CachingData): Promise<void> {
  let got = 0;
  for await (const { items } of data.datasets[0]?.pictureBatches() ?? []) got += items.length;
  if (got !== count) throw new Error(`${got} pictures of ${count}`);
}

interface SharpTask extends BenchPicture {
  readonly bucket: Size;
}

async function sharpTasks(data: CachingData, pictures: readonly BenchPicture[]): Promise<SharpTask[]> {
  const plan = await data.datasets[0]?.plan();
  const buckets = new Map(plan?.items.map(({ targets, bucket }) => [targets[0], bucket]));
  return pictures.map((picture) => ({ ...picture, bucket: buckets.get(picture.file) ?? [960, 544] }));
}

/** The shorter time of as many pictures at once as there are cores, and twice as many. */
async function bestOfSharp(tasks: readonly SharpTask[], shrinksOnLoad: boolean): Promise<number> {
  const times: number[] = [];
  for (const limit of [threads, 2 * threads]) {
    const limited = createLimit(limit);
    times.push(
      await seconds(() => Promise.all(tasks.map((task) => limited(() => resizeWithSharp(task, shrinksOnLoad))))),
    );
  }
  return Math.min(...times);
}

/**
 * What sharp itself makes of the same file. It decodes JPEG and WebP at a reduced size where that is enough, unless told to
 * take a part first, here the whole.
 */
function resizeWithSharp({ file, width, height, bucket }: SharpTask, shrinksOnLoad: boolean): Promise<Uint8Array> {
  const image = sharp(file);
  const source = shrinksOnLoad ? image : image.extract({ left: 0, top: 0, width, height });
  return source
    .resize(...bucket, { fit: 'cover', kernel: 'lanczos3' })
    .raw()
    .toBuffer();
}

async function seconds(action: () => unknown): Promise<number> {
  const start = performance.now();
  await action();
  return (performance.now() - start) / 1000;
}
