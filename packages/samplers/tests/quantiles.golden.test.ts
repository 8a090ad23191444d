import { TorchGenerator } from '@musubi/random';
import { describe, expect, test } from 'vitest';

import { isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { createTimestepSampler, samplerNames } from '../src/index.ts';
import { toOptions } from './helpers.ts';
import type { GoldenArgs } from './helpers.ts';

const golden = readGoldenJson<{
  cases: {
    args: GoldenArgs;
    latent_hw: [number, number];
    input: { torch_seed: number };
    output: { timestep_quantiles: number[]; mean: number; std: number };
  }[];
}>('maths', 'sampler_quantiles.json');

const DRAWS = 60_000;

test('there is a distribution of every sampler', () => {
  const names = new Set(golden.cases.map(({ args }) => args['timestep_sampling']));
  if (!isDefaultGolden) return;
  expect(samplerNames.filter((name) => !names.has(name))).toEqual([]);
  expect(shifted.length).toBeGreaterThan(0);
});

test.each(golden.cases)('draws the distribution of $args, latents $latent_hw', ({ args, latent_hw, input, output }) => {
  const sampler = createTimestepSampler(toOptions(args));
  const source = new TorchGenerator(input.torch_seed + 1);
  const { timesteps } = sampler({ count: DRAWS, latentShape: [DRAWS, 16, 1, ...latent_hw], source });
  // Whole-numbered schedule entries make steps in the distribution.
  const limit = args['timestep_sampling'] === 'sigma' ? 0.015 : 0.01;
  expect(kolmogorovSmirnov(timesteps.toSorted(), output.timestep_quantiles)).toBeLessThan(limit);
  const mean = timesteps.reduce((sum, x) => sum + x, 0) / DRAWS;
  // Five standard errors of the mean.
  expect(Math.abs(mean - output.mean)).toBeLessThan((5 * output.std) / Math.sqrt(DRAWS));
});

const shifted = golden.cases.filter(
  ({ args }) => 'discrete_flow_shift' in args && !args['preserve_distribution_shape'],
);

describe.each([0.95, 1.05])('a shift of %f times the right one', (factor) => {
  test.each(shifted)('is found out with $args', ({ args, latent_hw, input, output }) => {
    const wrong = { ...args, discrete_flow_shift: Number(args['discrete_flow_shift']) * factor };
    const source = new TorchGenerator(input.torch_seed + 1);
    const { timesteps } = createTimestepSampler(toOptions(wrong))({
      count: DRAWS,
      latentShape: [DRAWS, 16, 1, ...latent_hw],
      source,
    });
    expect(kolmogorovSmirnov(timesteps.toSorted(), output.timestep_quantiles)).toBeGreaterThan(0.01);
  });
});

/** Largest distance between the empirical distribution and the piecewise-linear one through equidistant quantiles. */
function kolmogorovSmirnov(sorted: Float32Array, quantiles: readonly number[]): number {
  const intervals = quantiles.length - 1;
  let k = 0;
  let largest = 0;
  sorted.forEach((x, i) => {
    while (k < intervals - 1 && quantiles[k + 1]! < x) k++;
    const [low, high] = [quantiles[k]!, quantiles[k + 1]!];
    const inside = high > low ? Math.min(Math.max((x - low) / (high - low), 0), 1) : 1;
    const expected = (k + inside) / intervals;
    largest = Math.max(largest, Math.abs(i / sorted.length - expected), Math.abs((i + 1) / sorted.length - expected));
  });
  return largest;
}
