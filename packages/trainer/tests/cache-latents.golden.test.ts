import { readFile, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';

import { openSafetensorsFile } from '@musubi/safetensors/node';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { goldenPath, hasGolden, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { type CachingFolder, openCachingFolder } from './caching-folder.ts';
import { readStore } from './run-folder.ts';
import { writeAsPth } from './write-pth.ts';

interface VaeCase {
  readonly content: readonly [frames: number, height: number, width: number, channels: number];
  readonly cache_keys: Readonly<Record<string, readonly number[]>>;
  readonly cache_metadata: Readonly<Record<string, string>>;
}

const folder = ['models', 'vae_wan'] as const;
const cases = hasGolden(...folder, 'case.json')
  ? readGoldenJson<{ cases: Record<string, VaeCase> }>(...folder, 'case.json').cases
  : {};
/** Recorded pictures: of one frame. */
const pictures = Object.entries(cases).filter(([, { cache_metadata }]) => !cache_metadata['frame_count']);
const checkpoint = goldenPath(...folder, 'checkpoint.safetensors');

test('the repository has a picture', () => {
  if (isDefaultGolden) expect(pictures.length).toBeGreaterThan(0);
});

let at: CachingFolder;
beforeAll(async () => {
  at = await openCachingFolder();
});
afterEach(() => at.clear());
afterAll(() => at.close());

async function writeCase(name: string, { cache_metadata }: VaeCase, file: string): Promise<void> {
  const [width, height] = [Number(cache_metadata['width']), Number(cache_metadata['height'])];
  const golden = await openSafetensorsFile(goldenPath(...folder, 'case.safetensors'));
  const pixels = await golden.read(`${name}.content_uint8`).finally(() => golden.close());
  await at.writePicture(`${file}.png`, pixels, width, height);
  await at.write(`${file}.txt`, 'a picture');
  await at.write(
    'dataset.toml',
    `[general]\nresolution = [${width}, ${height}]\ncaption_extension = ".txt"\nbatch_size = 2\n
[[datasets]]\nimage_directory = "images"\ncache_directory = "cache"\n`,
  );
}

const cacheOf = ({ cache_metadata }: VaeCase, base: string) => {
  const [width, height] = [cache_metadata['width'] ?? '', cache_metadata['height'] ?? ''];
  return join('cache', `${base}_${width.padStart(4, '0')}x${height.padStart(4, '0')}_wan.safetensors`);
};

describe.each(pictures)('the recorded %s', (name, recorded) => {
  test('as a file gives the latent cache of the original', async () => {
    await writeCase(name, recorded, 'images/a.b');
    const outcome = await at.run('latents', `--dataset_config dataset.toml --vae ${checkpoint} --vae_dtype float32`);
    expect(outcome).toMatchObject({ status: 'finished', written: 1, kept: 0, removed: 0, failures: [] });

    const golden = await openSafetensorsFile(goldenPath(...folder, 'case.safetensors'));
    const expected = await golden.readFloat32(`${name}.latents`).finally(() => golden.close());
    const largest = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    await readStore(cacheOf(recorded, 'a.b'), async (cache) => {
      expect([...cache.tensors.keys()]).toEqual(Object.keys(recorded.cache_keys));
      expect(cache.metadata).toEqual(recorded.cache_metadata);
      for (const [key, shape] of Object.entries(recorded.cache_keys)) {
        expect(cache.tensors.get(key)).toMatchObject({ dtype: 'F32', shape });
        expect(await cache.readFloat32(key)).toBeAllClose(expected, { atol: 1e-4 * largest });
      }
    });
  });

  test('is stored in bfloat16 by default', async () => {
    await writeCase(name, recorded, 'images/a');
    await at.run('latents', `--dataset_config dataset.toml --vae ${checkpoint}`);
    const [key = ''] = Object.keys(recorded.cache_keys);
    await readStore(cacheOf(recorded, 'a'), (cache) => {
      expect(cache.tensors.get(key.replace('float32', 'bfloat16'))?.dtype).toBe('BF16');
    });
  });

  test('is the same, byte by byte, from a .pth with the same tensors', async () => {
    await writeCase(name, recorded, 'images/a');
    await at.run('latents', `--dataset_config dataset.toml --vae ${checkpoint}`);
    const fromSafetensors = await readFile(cacheOf(recorded, 'a'));
    await writeAsPth(checkpoint, 'vae.pth');
    await at.run('latents', '--dataset_config dataset.toml --vae vae.pth');
    expect(Buffer.compare(await readFile(cacheOf(recorded, 'a')), fromSafetensors)).toBe(0);
  });

  test('an existing cache is made again, or left with skip_existing', async () => {
    await writeCase(name, recorded, 'images/a');
    const options = `--dataset_config dataset.toml --vae ${checkpoint}`;
    await at.run('latents', options);
    const before = await stat(cacheOf(recorded, 'a'));
    expect(await at.run('latents', `${options} --skip_existing`)).toMatchObject({ written: 0, kept: 1 });
    expect((await stat(cacheOf(recorded, 'a'))).mtimeMs).toBe(before.mtimeMs);
    expect(await at.run('latents', options)).toMatchObject({ written: 1, kept: 0 });
  });

  test('caches of pictures that are gone are removed, or kept with keep_cache; a LoRA beside them stays', async () => {
    await writeCase(name, recorded, 'images/a');
    await at.write(cacheOf(recorded, 'gone'), '');
    await at.write('cache/cat_wan.safetensors', '');
    const options = `--dataset_config dataset.toml --vae ${checkpoint} --skip_existing`;
    expect(await at.run('latents', `${options} --keep_cache`)).toMatchObject({ removed: 0 });
    expect(await at.run('latents', options)).toMatchObject({ removed: 1 });
    expect(await at.run('latents', options)).toMatchObject({ removed: 0 });
    await stat('cache/cat_wan.safetensors');
  });

  test('a picture that cannot be read is named and left out; its cache stays, the others are made', async () => {
    await writeCase(name, recorded, 'images/a');
    await at.write('images/broken.png', 'this is no picture');
    await at.write('images/broken.txt', 'x');
    await at.write(cacheOf(recorded, 'broken'), 'old');
    const outcome = await at.run('latents', `--dataset_config dataset.toml --vae ${checkpoint}`);
    expect(outcome).toMatchObject({ status: 'finished', written: 1, removed: 0 });
    expect(outcome.failures.map(({ key }) => key)).toEqual([join('images', 'broken.png')]);
    expect(outcome.lines.join('\n')).toMatch(/1 image was left out:\n.*broken\.png/);
    await stat(cacheOf(recorded, 'broken'));
  });

  test('a run that was stopped goes on where it was', async () => {
    await writeCase(name, recorded, 'images/a');
    await writeCase(name, recorded, 'images/b');
    await writeCase(name, recorded, 'images/c');
    const controller = new AbortController();
    const options = `--dataset_config dataset.toml --vae ${checkpoint} --batch_size 1`;
    const stopped = await at.run('latents', options, {
      signal: controller.signal,
      onProgress: ({ items }) => items === 1 && controller.abort(),
    });
    expect(stopped).toMatchObject({ status: 'interrupted', written: 1 });
    const before = await stat(cacheOf(recorded, 'a'));
    expect(await at.run('latents', options)).toMatchObject({ status: 'finished', written: 2, kept: 1 });
    expect((await stat(cacheOf(recorded, 'a'))).mtimeMs).toBe(before.mtimeMs);
    expect(await at.run('latents', options)).toMatchObject({ written: 3, kept: 0 });
  });

  test('a VAE that is none ends the run before anything is written', async () => {
    await writeCase(name, recorded, 'images/a');
    await at.write('vae.safetensors', 'nonsense');
    const run = at.run('latents', '--dataset_config dataset.toml --vae vae.safetensors');
    await expect(run).rejects.toMatchObject({ code: 'FILE_UNUSABLE', message: /^vae = "vae\.safetensors": / });
    await expect(stat('cache')).rejects.toThrow('ENOENT');
  });
});

/** A dataset of the pictures in one of the folders `images` and `controls`. */
const writeDataset = (images: string, cache: string, more = '') =>
  at.write(
    `${cache}.toml`,
    `[general]\nresolution = [32, 32]\ncaption_extension = ".txt"\nenable_bucket = true\nbatch_size = 2\n
[[datasets]]\nimage_directory = "${images}"\ncache_directory = "${cache}"\n${more}`,
  );

describe.runIf(pictures.length > 0)('pictures of two buckets with control pictures', () => {
  const names = ['a', 'b', 'c', 'd', 'e'];
  const sizes: readonly (readonly [number, number])[] = [
    [32, 32],
    [64, 16],
    [40, 40],
    [32, 32],
    [80, 20],
  ];
  const options = `--vae ${checkpoint} --vae_dtype float32`;

  async function writePictures(folderName: string, shade: number): Promise<void> {
    for (const [i, name] of names.entries()) {
      const [width, height] = sizes[i] ?? [0, 0];
      const pixels = Uint8Array.from({ length: 3 * width * height }, (_, k) => (k * k * (i + 3) + shade * k) % 256);
      await at.writePicture(`${folderName}/${name}.png`, pixels, width, height);
      await at.write(`${folderName}/${name}.txt`, name);
    }
  }

  /** Name, shape and values of each tensor in the caches of a folder. */
  async function tensorsIn(cache: string) {
    const all: Record<string, { shape: readonly number[]; values: Float32Array }> = {};
    for (const [i, name] of names.entries()) {
      const [width, height] = (sizes[i] ?? []).map((side) => String(side).padStart(4, '0'));
      await readStore(join(cache, `${name}_${width}x${height}_wan.safetensors`), async (store) => {
        expect(store.metadata).toMatchObject({ architecture: 'wan', width: String(sizes[i]?.[0]) });
        for (const [key, { shape }] of store.tensors) {
          all[`${name} ${key}`] = { shape, values: await store.readFloat32(key) };
        }
      });
    }
    return all;
  }

  test('have the latents that each picture has alone, beside those of its control picture', async () => {
    await writePictures('images', 5);
    await writePictures('controls', 77);
    await writeDataset('images', 'both', 'control_directory = "controls"\n');
    await writeDataset('images', 'targets');
    await writeDataset('controls', 'alone');
    expect(await at.run('latents', `--dataset_config both.toml ${options}`)).toMatchObject({
      written: 5,
      failures: [],
    });
    await at.run('latents', `--dataset_config targets.toml ${options} --batch_size 1`);
    await at.run('latents', `--dataset_config alone.toml ${options} --batch_size 1`);

    const [both, targets, controls] = [await tensorsIn('both'), await tensorsIn('targets'), await tensorsIn('alone')];
    const expected = { ...targets };
    for (const [key, tensor] of Object.entries(controls))
      expected[key.replace('latents_', 'latents_control_')] = tensor;
    expect(Object.keys(both).toSorted()).toEqual(Object.keys(expected).toSorted());
    expect(new Set(Object.values(both).map(({ shape }) => shape.join()))).toEqual(new Set(['16,1,4,4', '16,1,2,8']));
    for (const [key, { shape, values }] of Object.entries(both)) {
      expect(shape).toEqual(expected[key]?.shape);
      expect(values).toBeAllClose(expected[key]?.values ?? [], { rtol: 1e-5, atol: 1e-5 });
    }
  });

  test('are encoded again after a stop when their control picture was replaced, whatever its time', async () => {
    await writePictures('images', 5);
    await writePictures('controls', 77);
    await writeDataset('images', 'both', 'control_directory = "controls"\n');
    const run = (hooks = {}) => at.run('latents', `--dataset_config both.toml ${options}`, hooks);
    const controller = new AbortController();
    const stopped = await run({
      signal: controller.signal,
      onProgress: ({ items = 0 }) => items >= 4 && controller.abort(),
    });
    expect(stopped).toMatchObject({ status: 'interrupted', written: 4 });
    await at.write('controls/a.png', await readFile('controls/d.png'));
    await utimes('controls/a.png', 0, 0);
    expect(await run()).toMatchObject({ status: 'finished', written: 2, kept: 3 });
  });
});
