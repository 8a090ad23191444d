import { PythonRandom, TorchGenerator } from '@musubi/random';
import { describe, expect, test } from 'vitest';

import { isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { createBucketedUniform, histogramSvg, histogramText, timestepHistogram } from '../src/index.ts';
import type { TimestepHistogram } from '../src/index.ts';
import { toOptions } from './helpers.ts';

interface Shown {
  readonly name: string;
  readonly options: readonly string[];
  readonly seed: number;
  readonly mode: 'console' | 'image';
  /** The original's own failure, which we do not have. */
  readonly error?: string;
  readonly lines?: readonly string[];
  readonly figure?: {
    readonly figsize: readonly [number, number];
    readonly axes: readonly {
      readonly title: string;
      readonly xlabel: string;
      readonly ylabel: string;
      readonly bars: number;
      readonly sum_of_heights: number;
      readonly max_height: number;
    }[];
  };
}

const golden = readGoldenJson<{ runs: Shown[] }>('files', 'show_timesteps.json');

test('there are cases of both kinds', () => {
  if (isDefaultGolden) expect(new Set(golden.runs.map(({ mode }) => mode))).toEqual(new Set(['console', 'image']));
});

function show({ options, seed }: Shown): TimestepHistogram {
  const args: Record<string, string | number> = {};
  for (let i = 0; i < options.length; i += 2) {
    const value = options[i + 1] ?? '';
    args[(options[i] ?? '').slice(2)] = Number.isNaN(Number(value)) ? value : Number(value);
  }
  const buckets = args['num_timestep_buckets'] === undefined ? null : Number(args['num_timestep_buckets']);
  return timestepHistogram(
    { ...toOptions(args), sigmaDtype: 'float16' },
    {
      source: new TorchGenerator(seed),
      numTimestepBuckets: buckets,
      bucketedUniform: buckets === null ? null : createBucketedUniform(buckets, new PythonRandom(seed)),
    },
  );
}

describe.each(golden.runs)('$name', (shown) => {
  const histogram = show(shown);
  const draws = histogram.counts.reduce((sum, count) => sum + count, 0);
  const title = 'Sampled loss weighting';

  test('draws what is expected', () => {
    expect(draws).toBe(100_000);
    expect(histogram.expected.reduce((sum, count) => sum + count, 0)).toBeCloseTo(draws, 3);
    // Kolmogorov-Smirnov: below 1.95/√n in all but one of a thousand tests.
    let [difference, largest] = [0, 0];
    histogram.counts.forEach((count, k) => {
      difference += count - histogram.expected[k]!;
      largest = Math.max(largest, Math.abs(difference) / draws);
    });
    expect(largest).toBeLessThan(1.95 / Math.sqrt(draws));
  });

  test.runIf(shown.lines)('prints the lines of the original', () => {
    const lines = histogramText(histogram);
    const recorded = shown.lines!;
    expect(lines).toHaveLength(recorded.length);
    const half = recorded.findIndex((line) => line.startsWith(title));
    expect(lines.slice(half)).toEqual(recorded.slice(half));
    // The same generator, but its normal numbers differ in the last bits: a draw may fall into the neighbouring bin.
    expect(lines[0]?.replace(/[\d.]+$/, '')).toBe(recorded[0]?.replace(/[\d.]+$/, ''));
    expect(maximumOf(lines)).toBeCloseTo(maximumOf(recorded), 0);
    for (let i = 1; i < half; i++) {
      expect(lines[i]!.slice(0, 11)).toBe(recorded[i]!.slice(0, 11));
      expect(Math.abs(lines[i]!.length - recorded[i]!.length), recorded[i]).toBeLessThanOrEqual(1);
    }
  });

  test.runIf(shown.figure)('draws the figure of the original', () => {
    const svg = histogramSvg(histogram);
    const { figsize, axes } = shown.figure!;
    expect(svg).toContain(`width="${figsize[0] * 100}" height="${figsize[1] * 100}"`);
    const series = [histogram.counts, histogram.weights];
    axes.forEach((axis, i) => {
      for (const label of [axis.title, axis.xlabel, axis.ylabel]) expect(svg).toContain(`>${label}</text>`);
      expect(series[i]).toHaveLength(axis.bars);
      const sum = series[i]!.reduce((total, height) => total + height, 0);
      expect([sum]).toBeAllClose([axis.sum_of_heights], { rtol: 1e-6 });
      // The highest of 1000 bars: a few draws more or less.
      const tolerance = i === 0 ? 3 : 0;
      expect(Math.abs(Math.max(...series[i]!) - axis.max_height)).toBeLessThanOrEqual(tolerance);
    });
  });

  test.runIf(shown.error)('is shown although the original fails', () => {
    expect(histogramText(histogram)).toHaveLength(82);
  });
});

function maximumOf(lines: readonly string[]): number {
  return Number(/max count=([\d.]+)/.exec(lines[0] ?? '')?.[1]);
}
