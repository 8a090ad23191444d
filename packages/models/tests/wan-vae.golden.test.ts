import type { HostTensor } from '@musubi/onnx-graph';
import type { TensorStore } from '@musubi/safetensors';

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { fromFloat32, toFloat32 } from '@musubi/safetensors';
import { openSafetensorsFile, writeSafetensorsFile } from '@musubi/safetensors/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { goldenPath, hasGolden, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { encodeFirstFrame, wanVae } from '../src/index.ts';
import { openAutoencoder } from './open-autoencoder.ts';

const folder = ['models', 'vae_wan'];
const checkpointPath = goldenPath(...folder, 'checkpoint.safetensors');

/** Both compute in float32; the order of sums differs, and the decoder is deeper. Of the largest value. */
const tolerance = { latents: 5e-6, pixels: 5e-5 };

test('the repository has a case', () => {
  if (isDefaultGolden) expect(hasGolden(...folder, 'case.safetensors')).toBe(true);
});

const hasCase = hasGolden(...folder, 'case.safetensors');
const names = hasCase ? await caseNames() : [];
const having = (...suffixes: string[]) =>
  [...new Set(names.map((name) => name.slice(0, name.indexOf('.'))))].filter((stem) =>
    suffixes.every((suffix) => names.includes(`${stem}.${suffix}`)),
  );

describe.runIf(hasCase)('the recorded autoencoder', () => {
  let golden: TensorStore;
  beforeAll(async () => {
    golden = await openSafetensorsFile(goldenPath(...folder, 'case.safetensors'));
  });
  afterAll(() => golden.close());

  const read = async (name: string): Promise<HostTensor> => ({
    dtype: 'float32',
    shape: golden.tensors.get(name)?.shape ?? [],
    data: await golden.readFloat32(name),
  });

  test('has its configuration in the shapes of its weights', async () => {
    const { config } = readGoldenJson<{ config: RecordedConfig }>(...folder, 'case.json');
    const autoencoder = await openAutoencoder(checkpointPath);
    expect(autoencoder.config).toEqual({
      latentChannels: config.z_dim,
      levels: config.dim_mult.map((factor, i) => ({
        width: config.dim * factor,
        blocks: config.num_res_blocks,
        halvesFrames: config.temperal_downsample[i] ?? false,
      })),
    });
  });

  test.each(having('pixels', 'latents'))('encodes %s as the original does', async (stem) => {
    const autoencoder = await openAutoencoder(checkpointPath);
    const encoder = autoencoder.encoder();

    expectClose(await encoder.encode(await read(`${stem}.pixels`)), await read(`${stem}.latents`), tolerance.latents);

    await encoder.close();
    expect(autoencoder.opened()).toBe(0);
  });

  test.each([...new Set([...having('latents', 'decoded'), ...having('latents', 'decoded_unclamped')])])(
    'decodes %s as the original does',
    async (stem) => {
      const autoencoder = await openAutoencoder(checkpointPath);
      const decoder = autoencoder.decoder();

      const decoded = await decoder.decode(await read(`${stem}.latents`));
      for (const kind of ['decoded', 'decoded_unclamped'].filter((suffix) => names.includes(`${stem}.${suffix}`))) {
        const expected = await read(`${stem}.${kind}`);
        const clamped = (expected.data as Float32Array).map((x) => Math.max(-1, Math.min(1, x)));
        expectClose(decoded, { ...expected, data: clamped }, tolerance.pixels);
      }

      await decoder.close();
      expect(autoencoder.opened()).toBe(0);
    },
  );

  test.each(having('pixels', 'i2v_mask_and_image_latents'))(
    'shows an image-to-video model the first frame of %s as the original does',
    async (stem) => {
      const encoder = (await openAutoencoder(checkpointPath)).encoder();
      const expected = await read(`${stem}.i2v_mask_and_image_latents`);

      const conditioning = await encodeFirstFrame(encoder, await read(`${stem}.pixels`));
      await encoder.close();

      expectClose(conditioning, { ...expected, shape: [1, ...expected.shape] }, tolerance.latents);
    },
  );

  describe('from another file', () => {
    let temporary: string;
    let checkpoint: TensorStore;
    beforeAll(async () => {
      temporary = await mkdtemp(join(tmpdir(), 'musubi-vae-'));
      checkpoint = await openSafetensorsFile(checkpointPath);
    });
    afterAll(async () => {
      await checkpoint.close();
      await rm(temporary, { recursive: true, force: true });
    });

    const write = async (file: string, dtypes: readonly ('F32' | 'BF16' | 'F16')[]) => {
      const path = join(temporary, file);
      const tensors = Array.from(checkpoint.tensors.values(), async ({ name, shape }) => {
        let values = await checkpoint.readFloat32(name);
        let data: Uint8Array = new Uint8Array();
        for (const dtype of dtypes) {
          data = fromFloat32(values, dtype);
          values = toFloat32(data, dtype);
        }
        return { name, shape, dtype: dtypes.at(-1) ?? ('F32' as const), data };
      });
      await writeSafetensorsFile(path, await Promise.all(tensors));
      return path;
    };

    test.each(['BF16', 'F16'] as const)('a %s file gives what its values give in float32', async (dtype) => {
      const [pixels, latents] = [irregularTensor([1, 3, 5, 16, 8], 1), irregularTensor([1, 16, 1, 2, 1], 2)];
      const both = async (path: string) => {
        const autoencoder = await openAutoencoder(path);
        const [encoder, decoder] = [autoencoder.encoder(), autoencoder.decoder()];
        const results = [await encoder.encode(pixels), await decoder.decode(latents)];
        await Promise.all([encoder.close(), decoder.close()]);
        return results;
      };
      const narrow = await both(await write(`${dtype}.safetensors`, [dtype]));

      expect(narrow).toEqual(await both(await write(`${dtype}-as-float32.safetensors`, [dtype, 'F32'])));
    });
  });

  describe('the evaluation', () => {
    test('a batch is what its items are alone', async () => {
      const autoencoder = await openAutoencoder(checkpointPath);
      const [encoder, decoder] = [autoencoder.encoder(), autoencoder.decoder()];
      const items = [3, 4].map((seed) => irregularTensor([1, 3, 5, 16, 24], seed));

      const latents = await encoder.encode(stack(items));
      const alone = [];
      for (const item of items) alone.push(await encoder.encode(item));
      expect(latents).toEqual(stack(alone));

      const decoded = [];
      for (const item of alone) decoded.push(await decoder.decode(item));
      expect(await decoder.decode(latents)).toEqual(stack(decoded));
      await Promise.all([encoder.close(), decoder.close()]);
    });

    test('frames that do not fill a latent frame are ignored', async () => {
      const encoder = (await openAutoencoder(checkpointPath)).encoder();
      const whole = irregularTensor([1, 3, 8, 16, 8], 5);
      const used = await encoder.encode(firstFrames(whole, 5));

      expect(await encoder.encode(whole)).toEqual(used);
      expect(used.shape).toEqual([1, 16, 2, 2, 1]);
      await encoder.close();
    });

    test('opens a graph when it is first needed, and no more however long the sequence', async () => {
      const autoencoder = await openAutoencoder(checkpointPath);
      const encoder = autoencoder.encoder();
      expect(autoencoder.labels).toEqual([]);

      await encoder.encode(irregularTensor([2, 3, 1, 8, 8], 6));
      expect(autoencoder.labels).toEqual(['vae encoder, alone']);

      await encoder.encode(irregularTensor([1, 3, 13, 8, 16], 7));
      expect(autoencoder.labels).toEqual(['vae encoder, alone', 'vae encoder, first', 'vae encoder, next']);
      expect(autoencoder.opened()).toBe(3);
      await encoder.close();
      expect(autoencoder.opened()).toBe(0);
    });

    test('what later frames need does not grow with the sequence, nor do earlier frames depend on later ones', async () => {
      const autoencoder = await openAutoencoder(checkpointPath);
      const encoder = autoencoder.encoder();
      const long = irregularTensor([1, 3, 13, 8, 8], 8);

      const latents = await encoder.encode(long);
      const [first, ...next] = autoencoder.feedBytes;
      expect(next).toHaveLength(3);
      expect(new Set(next).size).toBe(1);
      expect(next[0]).toBeGreaterThan(first ?? 0);

      const short = await encoder.encode(firstFrames(long, 9));
      await encoder.close();
      expect(firstFrames(latents, 3)).toEqual(short);
    });

    test.each([
      [[1, 3, 1, 12, 16], 'float32'],
      [[1, 3, 1, 16, 4], 'float32'],
      [[1, 3, 0, 16, 16], 'float32'],
      [[0, 3, 1, 16, 16], 'float32'],
      [[1, 4, 1, 16, 16], 'float32'],
      [[3, 1, 16, 16], 'float32'],
      [[1, 3, 1, 16, 16], 'float64'],
    ] as const)('refuses pixels %j %s', async (shape, dtype) => {
      const encoder = (await openAutoencoder(checkpointPath)).encoder();
      const pixels = { ...irregularTensor(shape, 9), dtype };

      await expect(encoder.encode(pixels)).rejects.toMatchObject({ code: 'BAD_BATCH', facts: { subject: 'pixels' } });
      await expect(encodeFirstFrame(encoder, pixels)).rejects.toMatchObject({ code: 'BAD_BATCH' });
    });

    test('refuses latents of another model', async () => {
      const decoder = (await openAutoencoder(checkpointPath)).decoder();
      await expect(decoder.decode(irregularTensor([1, 48, 1, 2, 2], 9))).rejects.toThrowErrorMatchingInlineSnapshot(
        `[ModelError: The latents are float32 [1, 48, 1, 2, 2]; expected float32 [B, 16, F, H, W]. Give latents of this model.]`,
      );
    });
  });
});

test.runIf(hasGolden(...folder, 'published_keys.json'))('the tensors of the published VAE are these', () => {
  const tables = readGoldenJson<Record<string, Record<string, number[]>>>(...folder, 'published_keys.json');
  const parameters = wanVae.parameters(wanVae.published).map(({ name, shape }) => [name, shape]);

  for (const keys of Object.values(tables)) expect(parameters).toEqual(Object.entries(keys));
});

async function caseNames(): Promise<string[]> {
  const store = await openSafetensorsFile(goldenPath(...folder, 'case.safetensors'));
  await store.close();
  return [...store.tensors.keys()];
}

interface RecordedConfig {
  readonly dim: number;
  readonly z_dim: number;
  readonly dim_mult: readonly number[];
  readonly num_res_blocks: number;
  readonly temperal_downsample: readonly boolean[];
}

function expectClose(actual: HostTensor, expected: HostTensor, relative: number): void {
  const values = expected.data as Float32Array;
  const largest = values.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
  expect(actual.shape).toEqual(expected.shape);
  expect(actual.data as Float32Array).toBeAllClose(values, { atol: relative * largest });
}

/** Irregular numbers between −1 and 1. */
function irregularTensor(shape: readonly number[], seed: number): HostTensor {
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(seed + i * i));
  return { dtype: 'float32', shape, data };
}

function stack(items: readonly HostTensor[]): HostTensor {
  const data = Float32Array.from(items.flatMap((item) => Array.from(item.data as Float32Array)));
  return { dtype: 'float32', shape: [items.length, ...(items[0]?.shape.slice(1) ?? [])], data };
}

function firstFrames(tensor: HostTensor, count: number): HostTensor {
  const [N = 0, C = 0, F = 0, H = 0, W = 0] = tensor.shape;
  const all = tensor.data as Float32Array;
  const data = Float32Array.from({ length: N * C * count * H * W }, (_, i) => {
    const channel = Math.floor(i / (count * H * W));
    return all[channel * F * H * W + (i % (count * H * W))] ?? NaN;
  });
  return { dtype: 'float32', shape: [N, C, count, H, W], data };
}
