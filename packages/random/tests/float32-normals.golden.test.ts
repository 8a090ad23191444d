import { existsSync, readdirSync } from 'node:fs';
import { openSafetensorsFile } from '@musubi/safetensors/node';
import { describe, expect, test } from 'vitest';

import { goldenPath, hasGolden, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { TorchGenerator } from '../src/index.ts';

// The weights of the golden models were drawn by torch.randn from a seed and scaled. The first drawn tensor is found by
// its direction, whatever its name and scale.

const seeds = models();

test('there is a model to compare with', () => {
  if (isDefaultGolden) expect(seeds.length).toBeGreaterThan(0);
});

describe.each(seeds)('$name', ({ name, seed }) => {
  test('has weights that a generator of its seed draws first', async () => {
    const store = await openSafetensorsFile(goldenPath('models', name, 'checkpoint.safetensors'));
    let compared = 0;
    for (const [key, { dtype, shape }] of store.tensors) {
      const count = shape.reduce((product, n) => product * n, 1);
      if (dtype !== 'F32' || count < 1024) continue;
      const weights = await store.readFloat32(key);
      const normals = new TorchGenerator(seed).randn(count);
      const scale = dot(weights, normals) / dot(normals, normals);
      const cosine = dot(weights, normals) / Math.sqrt(dot(weights, weights) * dot(normals, normals));
      if (cosine < 0.99) continue;
      compared++;
      expect(weights.map((w) => w / scale)).toBeAllClose(normals, { atol: 1e-6 });
      // A power of two scales without rounding, so the bits themselves can be compared.
      const power = 2 ** Math.round(Math.log2(scale));
      if (isDefaultGolden && Math.abs(scale / power - 1) < 1e-6) expect(weights.map((w) => w / power)).toEqual(normals);
    }
    await store.close();
    if (isDefaultGolden) expect(compared).toBe(1);
  });
});

function models(): { name: string; seed: number }[] {
  if (!hasGolden('models', 'wan')) return [];
  return readdirSync(goldenPath('models', 'wan')).flatMap((folder) => {
    const name = `wan/${folder}`;
    const isComplete = ['case.json', 'checkpoint.safetensors'].every((file) =>
      existsSync(goldenPath('models', name, file)),
    );
    if (!isComplete) return [];
    const { seeds: found } = readGoldenJson<{ seeds?: { weights?: number } }>('models', name, 'case.json');
    return found?.weights === undefined ? [] : [{ name, seed: found.weights }];
  });
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, x, i) => sum + x * b[i]!, 0);
}
