import { expect, test } from 'vitest';

import { histogramSvg, histogramText, numberSource, timestepHistogram } from './index.ts';
import type { TimestepSamplerOptions } from './index.ts';

/** Evenly spread numbers, a different order of them in each call. */
function spread(): () => number {
  let i = 0;
  return () => (++i * 0.6180339887498949) % 1;
}

const shown = (options: TimestepSamplerOptions, numTimestepBuckets: number | null = null) =>
  timestepHistogram(options, { source: numberSource(spread()), numTimestepBuckets, draws: 5000 });

const outside = (values: readonly number[]) => [...values.slice(0, 299), ...values.slice(801)];

test('shows range, slices and what is expected', () => {
  const options = { timestepSampling: 'uniform', minTimestep: 200, maxTimestep: 700, weightingScheme: 'cosmap' };
  const svg = histogramSvg(shown(options, 5), 'Inter');
  expect(svg).toContain('font-family="Inter"');
  expect(svg.match(/stroke-dasharray/g)).toHaveLength(2); // both ends of the range
  expect(svg.match(/stroke="#dddddd"/g)).toHaveLength(4); // between five slices
  expect(svg).toContain('timestep_sampling = uniform, weighting_scheme = cosmap, 200 to 700, num_timestep_buckets = 5');
  expect(svg).not.toMatch(/NaN|Infinity|undefined/);
});

test('expects nothing outside the range', () => {
  for (const preserveDistributionShape of [false, true]) {
    const { counts, expected } = shown({
      timestepSampling: 'shift',
      discreteFlowShift: 3,
      minTimestep: 300,
      maxTimestep: 800,
      preserveDistributionShape,
    });

    expect(outside(counts).every((count) => count === 0)).toBe(true);
    expect(outside(expected).every((count) => Math.abs(count) < 1e-6)).toBe(true);
  }
});

test('is a well-formed picture whatever the sampler', () => {
  for (const timestepSampling of ['sigma', 'logsnr', 'qinglong_flux']) {
    const svg = histogramSvg(shown({ timestepSampling }));
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(svg.match(/<svg/g)).toHaveLength(1);
    expect(svg.endsWith('</svg>')).toBe(true);
  }
});

test('prints a line for each 25 timesteps', () => {
  const lines = histogramText({
    counts: Array.from({ length: 1000 }, (_, k) => (k < 25 ? 2 : 1)),
    weights: Array.from({ length: 1000 }, () => 1.5),
  });
  expect([lines[0], lines[1], lines[2], lines[41], lines[42]]).toEqual([
    'Sampled timesteps: max count=2.0',
    `   0-  24: ${'#'.repeat(64)}`,
    `  25-  49: ${'#'.repeat(32)}`,
    'Sampled loss weighting: max weighting=1.5',
    `   0-  24:     1.50 ${'#'.repeat(64)}`,
  ]);
});
