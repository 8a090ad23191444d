import { PythonRandom } from '@musubi/random';
import { describe, expect, test } from 'vitest';

import { createBucketedUniform, createTimestepSampler, numberSource, samplerNames } from './index.ts';

describe.each(samplerNames)('%s', (timestepSampling) => {
  const draw = (random: PythonRandom, bucketed: (() => number) | null, count = 7) =>
    createTimestepSampler(
      { timestepSampling, preserveDistributionShape: true },
      { bucketedUniform: bucketed },
    )({
      count,
      latentShape: [count, 16, 1, 32, 32],
      source: numberSource(() => random.random()),
    }).t;

  test('goes on from the saved state of any uniform generator', () => {
    const random = new PythonRandom(3);
    const pool = createBucketedUniform(5, random);
    draw(random, pool);
    const [saved, slices] = [random.state(), pool.state()];
    const next = draw(random, pool);

    const restored = PythonRandom.fromState(saved);
    const again = createBucketedUniform(5, restored);
    again.restore(slices);
    expect(draw(restored, again)).toEqual(next);
  });

  test('has the distribution that it has with normal numbers', () => {
    const t = draw(new PythonRandom(1), null, 4000).toSorted();
    expect(t.every((x) => x >= 0 && x <= 1)).toBe(true);
    expect(t[3999]! - t[0]!).toBeGreaterThan(0.5);
  });
});

test('normal numbers have mean 0 and deviation 1', () => {
  const random = new PythonRandom(2);
  const z = numberSource(() => random.random()).randn(20_000);
  const mean = z.reduce((sum, x) => sum + x, 0) / z.length;
  const variance = z.reduce((sum, x) => sum + (x - mean) ** 2, 0) / z.length;
  expect(Math.abs(mean)).toBeLessThan(0.03);
  expect(Math.abs(variance - 1)).toBeLessThan(0.05);
});

test('a number that float32 would round to 1 stays below', () => {
  expect(numberSource(() => 1 - 2 ** -53).rand(1)[0]).toBeLessThan(1);
});

test.each([[[5]], [[0, 0]], [[0.5]], [[-1]], ['x' as unknown as number[]]])('slices %j are refused', (slices) => {
  const pool = createBucketedUniform(5, new PythonRandom(1));
  expect(() => pool.restore(slices)).toThrow(expect.objectContaining({ code: 'POOL_STATE' }));
});
