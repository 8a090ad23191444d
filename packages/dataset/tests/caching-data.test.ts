import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, extname, join } from 'node:path';

import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { datasetArchitecture, DatasetError, describeFailures, type PictureItem } from '../src/index.ts';
import { type CachingData, openCachingData } from '../src/node.ts';

let folder = '';
let lines: string[] = [];
let opened: CachingData[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'caching-data-'));
  [lines, opened] = [[], []];
});
afterEach(async () => {
  await Promise.all(opened.map((data) => data.close()));
  await rm(folder, { recursive: true, force: true });
});

async function picture(path: string, [width, height] = [64, 48], alpha?: number): Promise<void> {
  await mkdir(join(folder, path, '..'), { recursive: true });
  const background = { r: 10, g: 20, b: 30, alpha: alpha ?? 1 };
  const image = sharp({ create: { width, height, channels: alpha === undefined ? 3 : 4, background } });
  await image.toFile(join(folder, path));
}

async function text(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(join(folder, path, '..'), { recursive: true });
  await writeFile(join(folder, path), content);
}

const table = '[[datasets]]\nimage_directory = "i"\nresolution = [64, 48]\ncaption_extension = ".txt"\n';

async function open(toml = table, architecture = 'wan', options: { batch_size?: number } = {}): Promise<CachingData> {
  await text('dataset.toml', toml);
  const data = await openCachingData({
    datasetConfigPath: 'dataset.toml',
    workingDirectory: folder,
    architecture: datasetArchitecture(architecture),
    commandLine: options,
    workers: 1,
    logger: (line) => lines.push(line),
  });
  opened.push(data);
  return data;
}

async function pictures(data: CachingData, dataset = 0): Promise<PictureItem[][]> {
  const batches: PictureItem[][] = [];
  for await (const { items } of data.datasets[dataset]?.pictureBatches() ?? []) batches.push([...items]);
  return batches;
}

async function failure(promise: Promise<unknown>): Promise<DatasetError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof DatasetError) return error;
  throw new Error(`expected a DatasetError, got ${String(error)}`);
}

const plain = (message: string) => message.replaceAll(folder, 'FOLDER').replaceAll('\\', '/');

describe('an image folder', () => {
  test('gives pixels, captions, sizes and cache paths', async () => {
    await picture('i/b.jpg', [128, 96]);
    await picture('i/a.v2.png', [64, 48]);
    await text('i/b.txt', '\n a cat \r\n sleeping\n');
    await text('i/a.v2.txt', 'a dog');
    const data = await open(`${table}batch_size = 2\ncache_directory = "c"`);
    const [batch] = await pictures(data);
    expect(batch).toMatchObject([
      {
        key: join('i', 'a.v2.png'),
        caption: 'a dog',
        size: [64, 48],
        bucket: [64, 48],
        batchKey: [64, 48, 9],
        latentCache: join(folder, 'c', 'a.v2_0064x0048_wan.safetensors'),
        textCache: join(folder, 'c', 'a.v2_wan_te.safetensors'),
        controlPixels: [],
      },
      {
        key: join('i', 'b.jpg'),
        caption: 'a cat \n sleeping',
        size: [128, 96],
        latentCache: join(folder, 'c', 'b_0128x0096_wan.safetensors'),
      },
    ]);
    for (const { targetPixels } of batch ?? []) {
      expect(targetPixels).toHaveLength(1);
      expect(targetPixels[0]).toMatchObject({ width: 64, height: 48, channels: 3 });
      expect(targetPixels[0]?.data).toHaveLength(64 * 48 * 3);
    }
    expect(batch?.[0]?.targetPixels[0]?.data.subarray(0, 3)).toEqual(new Uint8Array([10, 20, 30]));
    expect(data.failures).toEqual([]);
    expect(lines).toEqual([]);
  });

  test('keeps alpha of targets only for the layered model, and of control images for all', async () => {
    await picture('i/a.png', [64, 48], 0.5);
    await picture('c/a.png', [64, 48], 0.5);
    await text('i/a.txt', '');
    for (const [architecture, channels] of [
      ['wan', [3, 4]],
      ['qil', [4, 4]],
    ] as const) {
      const [[item] = []] = await pictures(await open(`${table}control_directory = "c"`, architecture));
      expect([item?.targetPixels[0]?.channels, item?.controlPixels[0]?.channels]).toEqual(channels);
    }
  });

  test('brings further targets to the bucket of the first', async () => {
    await picture('i/a.png', [64, 48]);
    await picture('i/a_1.png', [100, 100]);
    await picture('i/a_0.png', [30, 30]);
    await text('i/a.txt', '');
    const data = await open(`${table}multiple_target = true\nenable_bucket = true`, 'qil');
    const [[item] = []] = await pictures(data);
    expect(item?.targets).toEqual(['a.png', 'a_0.png', 'a_1.png'].map((name) => join(folder, 'i', name)));
    expect(item?.targetPixels.map(({ width, height }) => [width, height])).toEqual([
      item?.bucket,
      item?.bucket,
      item?.bucket,
    ]);
    expect(lines).toEqual([]);
  });

  test('takes batch_size from the command line where the file gives none', async () => {
    for (const name of ['a', 'b', 'c']) {
      await picture(`i/${name}.png`);
      await text(`i/${name}.txt`, name);
    }
    const data = await open(table, 'wan', { batch_size: 2 });
    expect((await pictures(data)).map((items) => items.length)).toEqual([2, 1]);
    expect(data.datasets[0]?.textBatches.map((items) => items.map(({ caption }) => caption))).toEqual([
      ['a', 'b'],
      ['c'],
    ]);
    const other = await open(`${table}batch_size = 3`, 'wan', { batch_size: 2 });
    expect((await other.datasets[0]?.plan())?.batches).toHaveLength(1);
  });

  test('decodes only what is not skipped', async () => {
    for (const name of ['a', 'b']) {
      await picture(`i/${name}.png`);
      await text(`i/${name}.txt`, name);
    }
    const data = await open();
    const found: string[] = [];
    const batches = data.datasets[0]?.pictureBatches({ skip: async ({ caption }) => caption === 'a' });
    for await (const { items } of batches ?? []) {
      found.push(...items.map(({ caption }) => caption));
    }
    expect(found).toEqual(['b']);
  });

  test('can be left in the middle', async () => {
    for (let i = 0; i < 20; i++) {
      await picture(`i/${i}.png`);
      await text(`i/${i}.txt`, '');
    }
    const data = await open();
    for await (const { items } of data.datasets[0]?.pictureBatches() ?? []) {
      expect(items).toHaveLength(1);
      break;
    }
    expect((await pictures(data)).length).toBe(20);
  });
});

test('a list gives images from anywhere, captions as they are, relative to the working directory', async () => {
  await picture('one/a.png');
  await picture('two/b.png');
  const list = [
    { image_path: 'one/a.png', caption: ' a ', control_path: 'two/b.png' },
    { image_path: join(folder, 'two', 'b.png'), caption: '', control_path_0: 'one/a.png', control_path_1: 'one/a.png' },
  ];
  await text('l.jsonl', list.map((line) => JSON.stringify(line)).join('\n'));
  const toml = '[[datasets]]\nimage_jsonl_file = "l.jsonl"\ncache_directory = "c"\nresolution = 64';
  const [[a] = [], [b] = []] = await pictures(await open(toml, 'qie'));
  expect(a).toMatchObject({ key: 'one/a.png', caption: ' a ', batchKey: [64, 64, 64, 64] });
  expect(b).toMatchObject({ caption: '', batchKey: [64, 64, 64, 64, 64, 64] });
  expect(b?.textCache).toBe(join(folder, 'c', 'b_qie_te.safetensors'));
});

test('any folder name and all extensions are found, in lower or upper case but not in both', async () => {
  const place = 'i/data [1] * é 猫'.replace('*', process.platform === 'win32' ? '+' : '*');
  const found = ['a.png', 'b.jpg', 'c.jpeg', 'd.webp', 'e.avif', 'f.PNG', 'g.JPG', 'h.JPEG', 'i.WEBP', 'j.AVIF'];
  for (const name of [...found, 'x.Png', 'y.jpG', 'z.gif']) {
    await text(`${place}/${name.slice(0, -extname(name).length)}.txt`, ` ${name}\r\n`);
    const file = await sharp({ create: { width: 64, height: 48, channels: 3, background: 'red' } })
      .toFormat(extname(name).slice(1).toLowerCase() as 'png')
      .toBuffer();
    await text(`${place}/${name}`, file);
  }
  const data = await open(
    `[[datasets]]\nimage_directory = '${place}'\nresolution = [64, 48]\ncaption_extension = ".txt"\ncache_directory = 'c [2]'`,
  );
  const items = (await pictures(data)).flat();
  expect(items.map(({ caption }) => caption)).toEqual(found);
  for (const { targetPixels } of items) expect(targetPixels[0]?.data[0]).toBeGreaterThan(245);
  expect(data.failures).toEqual([]);
  await text('c [2]/old_0064x0048_wan.safetensors', '');
  expect(names(await data.datasets[0]?.staleCaches('latents'))).toEqual(['old_0064x0048_wan.safetensors']);
});

describe('images that cannot be used are left out and listed', () => {
  beforeEach(async () => {
    for (const name of ['a', 'b', 'c', 'd']) {
      await picture(`i/${name}.png`);
      await text(`i/${name}.txt`, name);
    }
  });

  test('for all that is wrong with them', async () => {
    const whole = await readFile(join(folder, 'i/a.png'));
    await text('i/a.png', 'no picture');
    await text('i/c.png', whole.subarray(0, whole.length - 20)); // the header is fine
    await text('i/d.txt', new Uint8Array([0x61, 0xff]));
    await text('i/e.png', '');
    await text('i/e.txt', '');
    const data = await open(`${table}batch_size = 4`);
    expect(data.failures).toHaveLength(1);
    const batches = await pictures(data);
    expect(batches.map((items) => items.map(({ caption }) => caption))).toEqual([['b']]);
    expect(data.failures.map(({ key, error }) => [key, error.code])).toEqual([
      [join('i', 'a.png'), 'PICTURE_UNREADABLE'],
      [join('i', 'c.png'), 'PICTURE_UNREADABLE'],
      [join('i', 'd.png'), 'FILE_UNREADABLE'],
      [join('i', 'e.png'), 'PICTURE_UNREADABLE'],
    ]);
    expect(data.failures[2]?.file).toBe(join(folder, 'i', 'd.txt'));
    expect(plain(describeFailures(data.failures))).toMatchInlineSnapshot(`
      "4 images were left out:
        FOLDER/i/a.png cannot be read: it is no PNG, JPEG, WebP, AVIF or BMP file. Save the picture again, or remove it.
        FOLDER/i/c.png cannot be read: libpng read error. Save the picture again, or remove it.
        FOLDER/i/d.txt is not UTF-8. Save it as UTF-8.
        FOLDER/i/e.png cannot be read: it is empty. Save the picture again, or remove it."
    `);
  });

  test('naming the control image at fault', async () => {
    for (const name of ['a', 'b', 'c', 'd']) await picture(`c/${name}.png`);
    await text('c/b.png', 'GIF89a');
    const data = await open(`${table}control_directory = "c"`);
    expect((await pictures(data)).length).toBe(3);
    expect(data.failures).toMatchObject([
      { datasetIndex: 0, key: join('i', 'b.png'), file: join(folder, 'c', 'b.png') },
    ]);
  });

  test('when they are too small for the encoder', async () => {
    await picture('i/b.png', [200, 12]);
    const data = await open(`${table}enable_bucket = true\nbucket_no_upscale = true`);
    const plan = await data.datasets[0]?.plan();
    expect(plan?.items).toHaveLength(3);
    expect(data.failures[0]?.error.code).toBe('PICTURE_TOO_SMALL');
    expect(plain(data.failures[0]?.error.message ?? '')).toMatchInlineSnapshot(
      `"FOLDER/i/b.png, 200 x 12 pixels, would become 192 x 0; encoders need 8 a side. Remove it, take a larger resolution, or leave out bucket_no_upscale (images) and no_resize_control (controls)."`,
    );
  });

  test('when they disappear meanwhile', async () => {
    const data = await open();
    await data.datasets[0]?.plan();
    await rm(join(folder, 'i/b.png'));
    expect(await pictures(data)).toHaveLength(3);
    expect(await pictures(data)).toHaveLength(3);
    expect(data.failures.map(({ key }) => key)).toEqual([join('i', 'b.png')]);
  });

  test('when they change meanwhile', async () => {
    const data = await open();
    await data.datasets[0]?.plan();
    await picture('i/b.png', [65, 48]);
    expect(await pictures(data)).toHaveLength(3);
    expect(data.failures[0]?.error.message).toContain('it has 65 x 48 pixels, its header said 64 x 48');
  });
});

const names = (paths: string[] | undefined) => paths?.map((path) => basename(path)).toSorted();

describe('stale caches', () => {
  beforeEach(async () => {
    for (const name of ['a', 'b']) {
      await picture(`i/${name}.png`);
      await text(`i/${name}.txt`, name);
    }
    const files = ['a_0064x0048_wan', 'a_0100x0100_wan', 'b_0064x0048_wan', 'old_x_0064x0048_wan', 'my_lora_wan'];
    const texts = ['a_wan_te', 'old_wan_te', '.x_wan_te'];
    for (const name of [...files, ...texts, 'a_0064x0048_hv']) await text(`i/${name}.safetensors`, '');
  });

  test('belong to no image any more', async () => {
    const [dataset] = (await open()).datasets;
    expect(names(await dataset?.staleCaches('latents'))).toEqual([
      'a_0100x0100_wan.safetensors',
      'old_x_0064x0048_wan.safetensors',
    ]);
    expect(names(await dataset?.staleCaches('texts'))).toEqual(['old_wan_te.safetensors']);
  });

  test('are none of an image that cannot be read', async () => {
    await text('i/a.png', 'broken');
    await text('i/b.txt', new Uint8Array([0xff]));
    const [dataset] = (await open()).datasets;
    expect(names(await dataset?.staleCaches('latents'))).toEqual(['old_x_0064x0048_wan.safetensors']);
    expect(names(await dataset?.staleCaches('texts'))).toEqual(['old_wan_te.safetensors']);
  });

  test('are none in a dataset without images', async () => {
    const data = await open(`${table}${table.replace('"i"', '"typo"')}cache_directory = "i/../i2"`);
    await text('i2/a_0064x0048_wan.safetensors', '');
    expect(await data.datasets[1]?.staleCaches('latents')).toEqual([]);
    expect(lines).toEqual([
      expect.stringContaining('datasets[1] has no images. Looked in "typo", which does not exist.'),
    ]);
  });
});

/** A list of images called `a.png` in folders of their own. */
const listOf = (...captions: string[]) =>
  captions.map((caption, i) => JSON.stringify({ image_path: `${i}/a.png`, caption, control_path: 'c.png' })).join('\n');

describe('two images for one cache file', () => {
  test('of the same size are refused', async () => {
    await picture('i/a.png');
    await picture('i/a.jpg');
    await text('i/a.txt', '');
    const error = await failure((await open()).datasets[0]?.plan() ?? Promise.resolve());
    expect(error.code).toBe('DUPLICATE_CACHE_FILE');
    expect(plain(error.message)).toMatchInlineSnapshot(
      `"i/a.jpg and i/a.png would both write FOLDER/i/a_0064x0048_wan.safetensors. Rename one of the images, or put it into a dataset of its own with another cache_directory."`,
    );
  });

  test('of different sizes share a text cache with their caption', async () => {
    await picture('i/a.png');
    await picture('i/a.jpg', [100, 50]);
    await text('i/a.txt', '');
    const data = await open();
    expect((await data.datasets[0]?.plan())?.items.map(({ textCache }) => textCache)).toEqual(
      Array.from({ length: 2 }, () => join(folder, 'i', 'a_wan_te.safetensors')),
    );
  });

  test('are refused when their captions differ, or their control images where these count', async () => {
    const toml = '[[datasets]]\nimage_jsonl_file = "l"\ncache_directory = "c"';
    await text('l', listOf('x', 'y'));
    expect((await failure(open(toml))).message).toContain('0/a.png and 1/a.png would both write');
    await text('l', listOf('x', 'x'));
    expect((await failure(open(toml, 'qie'))).code).toBe('DUPLICATE_CACHE_FILE');
    expect((await open(toml)).datasets[0]?.items).toHaveLength(2);
  });

  test('are one when they are the same', async () => {
    await picture('a.png');
    const line = JSON.stringify({ image_path: 'a.png', caption: '' });
    await text('l', `${line}\n${line}\n`);
    const data = await open('[[datasets]]\nimage_jsonl_file = "l"\ncache_directory = "c"\nresolution = 64');
    expect(await pictures(data)).toHaveLength(1);
    expect(lines).toEqual([expect.stringContaining('a.png is listed twice')]);
  });
});

describe('nothing to cache', () => {
  test.each([
    ['a folder that does not exist', [], '"i", which does not exist'],
    ['an empty folder', ['i/'], '"i" for .png .jpg .jpeg .webp .bmp .avif (all lower or all upper case)'],
    [
      'files of other kinds',
      ['i/a.gif', 'i/b.Png', 'i/a.txt', 'i/.hidden.png'],
      '"i" for .png .jpg .jpeg .webp .bmp .avif (all lower or all upper case); there are only .Png .gif',
    ],
    ['no captions', ['i/a.png', 'i/b.jpg', 'i/a.caption'], '"i": 2 images, none with a caption NAME.txt beside it'],
  ])('%s', async (_, files, looked) => {
    for (const file of files) await (file.endsWith('/') ? mkdir(join(folder, file)) : text(file, ''));
    const error = await failure(open());
    expect(error).toMatchObject({ code: 'NO_IMAGES', folders: ['i'] });
    const remedy = looked.includes('caption')
      ? 'Write the captions, or correct caption_extension.'
      : 'Correct image_directory or image_jsonl_file, or add images.';
    expect(error.message).toBe(`There are no images to cache. Looked in ${looked}. ${remedy}`);
  });

  test('an empty list', async () => {
    await text('l', '');
    const error = await failure(open('[[datasets]]\nimage_jsonl_file = "l"\ncache_directory = "c"'));
    expect(error).toMatchObject({ code: 'NO_IMAGES' });
  });
});

test('images without caption are named', async () => {
  for (const name of ['a', 'b', 'c']) await picture(`i/${name}.png`);
  await text('i/b.txt', '');
  const data = await open();
  expect(data.datasets[0]?.items).toHaveLength(1);
  expect(lines).toMatchInlineSnapshot(`
    [
      "datasets[0]: 2 images have no caption NAME.txt beside them and are left out: a.png, c.png.",
    ]
  `);
});

describe('configurations that cannot be cached', () => {
  const jsonl = '[[datasets]]\nimage_jsonl_file = "l"\ncache_directory = "c"';
  test.each([
    [
      'without caption_extension',
      '[[datasets]]\nimage_directory = "i"',
      'CAPTION_EXTENSION_MISSING',
      'datasets[0]: the images in "i" have no captions, because caption_extension is not given. ' +
        'Write caption_extension = ".txt" and a text file NAME.txt beside each image.',
    ],
    [
      'videos',
      '[[datasets]]\nvideo_directory = "i"',
      'VIDEO_CACHING_UNSUPPORTED',
      'datasets[0] is a video dataset; only images can be cached here. ' +
        'Cache it with musubi-tuner, whose files can be trained on here, in a configuration of its own.',
    ],
    [
      'batch_size 0',
      `${table}batch_size = 0`,
      'OPTION_OUT_OF_RANGE',
      'datasets[0]: batch_size = 0 is no size. Use a number from 1 to 65536.',
    ],
    [
      'a list without cache_directory',
      '[[datasets]]\nimage_jsonl_file = "l"',
      'CACHE_DIRECTORY_MISSING',
      'datasets[0] comes from a JSONL file and has no cache_directory. Give it one, the folder for its caches.',
    ],
    [
      'a list without captions',
      jsonl,
      'CAPTION_MISSING',
      'l has no caption in line 1, 2. Add "caption": "…" with its text, "" for none.',
    ],
    [
      'one folder written twice',
      `${table}${table}cache_directory = "./i"`,
      'DUPLICATE_CACHE_DIRECTORY',
      'datasets[0] and datasets[1] share the cache folder FOLDER/i. Give each its own cache_directory.',
    ],
  ])('%s', async (_, toml, code, message) => {
    await picture('i/a.png');
    await text('i/a.txt', '');
    await text('l', '{"image_path": "i/a.png"}\n{"image_path": "i/a.png", "caption": 3}\n');
    const error = await failure(open(toml));
    expect(error.code).toBe(code);
    expect(plain(error.message)).toBe(message);
  });

  test('a list without path', async () => {
    await text('l', '{"caption": ""}');
    expect((await failure(open(jsonl))).message).toContain('l, line 1 has no image_path.');
  });
});
