import { PythonRandom, TorchGenerator } from '@musubi/random';
import { describe, expect, test } from 'vitest';

import { createBucketedUniform, createHighLowSampler, createTimestepSampler, epochTimesteps } from './index.ts';

describe('epochTimesteps', () => {
  test('fills every slice alike when their number divides the timesteps', () => {
    const numbers = epochTimesteps(10, 2, 5, new PythonRandom(3))!.flat();
    const counts = [0, 0, 0, 0, 0];
    for (const u of numbers) counts[Math.floor(u * 5)]!++;
    expect(counts).toEqual([4, 4, 4, 4, 4]);
  });

  test.each([null, 0, 1])('gives no pool for %s slices', (count) => {
    expect(epochTimesteps(10, 2, count, new PythonRandom(3))).toBeNull();
  });
});

test.each([2.5, -1, NaN, 2 ** 24 + 1])('%d slices are refused', (count) => {
  const refused = expect.objectContaining({ code: 'SAMPLER_OPTION', option: 'num_timestep_buckets' });
  expect(() => epochTimesteps(10, 2, count, new PythonRandom(3))).toThrow(refused);
  expect(() => createBucketedUniform(count, new PythonRandom(3))).toThrow(refused);
});

test('createBucketedUniform takes one number from each slice in every round', () => {
  const next = createBucketedUniform(6, new PythonRandom(3));
  for (let round = 0; round < 5; round++) {
    const slices = Array.from({ length: 6 }, () => Math.floor(next() * 6));
    expect(slices.toSorted()).toEqual([0, 1, 2, 3, 4, 5]);
  }
});

describe('createHighLowSampler', () => {
  const uniform = createTimestepSampler({ timestepSampling: 'uniform' });

  test('keeps all items of a batch on one side', () => {
    const sampler = createHighLowSampler(uniform, { timestepBoundary: 875 });
    const sides = Array.from({ length: 40 }, (_, seed) => {
      const { timesteps, isHighNoise } = sampler(batch(seed));
      expect(timesteps.every((x) => x / 1000 >= Math.fround(0.875) === isHighNoise)).toBe(true);
      return isHighNoise;
    });
    expect(new Set(sides)).toEqual(new Set([true, false]));
  });

  test('draws the batch freely when an item never falls on the side', () => {
    let calls = 0;
    const constant = createHighLowSampler(
      ({ count }) => {
        calls++;
        // Only the deciding draw is high.
        const t = new Float32Array(count).fill(calls === 1 ? 0.95 : 0.1);
        return { t, timesteps: t.map((x) => 1000 * x + 1) };
      },
      { timestepBoundary: 0.9 },
    );
    const sample = constant(batch(0));
    expect(sample.isHighNoise).toBe(true);
    expect(sample.t).toEqual(new Float32Array(6).fill(0.1));
    expect(calls).toBe(1 + 6 * 100 + 1);
  });

  test.each([0, -1, 1001, Number.NaN])('refuses the boundary %f', (timestepBoundary) => {
    expect(() => createHighLowSampler(uniform, { timestepBoundary })).toThrow(
      expect.objectContaining({ code: 'SAMPLER_OPTION', option: 'timestep_boundary' }),
    );
  });
});

function batch(seed: number) {
  return { count: 6, latentShape: [6, 16, 1, 8, 8], source: new TorchGenerator(seed) };
}
