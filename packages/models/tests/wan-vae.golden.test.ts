import type { HostTensor } from '@musubi/onnx-graph';
import type { TensorStore } from '@musubi/safetensors';

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { fromFloat32, toFloat32 } from '@musubi/safetensors';
import { openSafetensorsFile, writeSafetensorsFile } from '@musubi/safetensors/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { goldenPath, hasGolden, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { wanVae } from '../src/index.ts';
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

  test.each([
    ...having('latents', 'decoded').map((stem) => [stem, 'decoded']),
    ...having('latents', 'decoded_unclamped').map((stem) => [stem, 'decoded_unclamped']),
  ])('decodes %s as the original does (%s)', async (stem, kind) => {
    const autoencoder = await openAutoencoder(checkpointPath);
    const decoder = autoencoder.decoder();
    const expected = await read(`${stem}.${kind}`);
    const clamped = (expected.data as Float32Array).map((x) => Math.max(-1, Math.min(1, x)));

    const decoded = await decoder.decode(await read(`${stem}.latents`));
    expectClose(decoded, { ...expected, data: clamped }, tolerance.pixels);

    await decoder.close();
    expect(autoencoder.opened()).toBe(0);
  });
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
  if (process.env.SHOW)
    console.log((actual.data as Float32Array).reduce((m, x, i) => Math.max(m, Math.abs(x - values[i])), 0) / largest);
  expect(actual.shape).toEqual(expected.shape);
  expect(actual.data as Float32Array).toBeAllClose(values, { atol: relative * largest });
}
