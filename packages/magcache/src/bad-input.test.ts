import { describe, expect, test } from 'vitest';

import * as magcache from './index.ts';

const notNumbers = [Number.NaN, Infinity, -Infinity];
const { compareResiduals, createCalibration, createMagCache, createSkipPolicy, nearestRatios, parseMagRatios } =
  magcache;
const one = Float32Array.of(1, 2);
type Case = readonly [what: string, call: () => unknown];

const cases: readonly Case[] = [
  ...[-1, 0, 0.5, ...notNumbers].flatMap((n): Case[] => [
    [`${n} steps`, () => createSkipPolicy({ steps: n })],
    [`ratios for ${n} steps`, () => nearestRatios([1], n)],
    [`a calibration of ${n} steps`, () => createCalibration({ steps: n, featureSize: 1 })],
    [`tokens of ${n}`, () => createCalibration({ steps: 1, featureSize: n })],
    [`a comparison of tokens of ${n}`, () => compareResiduals(one, one, n)],
    [`a ratio of ${n}`, () => (n === 0.5 ? parseMagRatios('0.5,x') : nearestRatios([1, n], 3))],
  ]),
  ...[-0.1, ...notNumbers].map((n): Case => [
    `a retention of ${n}`,
    () => createMagCache({ steps: 5, retentionRatio: n }),
  ]),
  ...[-0.1, Number.NaN].map((n): Case => [`a threshold of ${n}`, () => createMagCache({ steps: 5, threshold: n })]),
  ...[1, -1, 9, 0.5, ...notNumbers].map((n): Case => [
    `step ${n} first`,
    () => createSkipPolicy({ steps: 5 }).shouldSkip(n),
  ]),
  ...['', ' ', '1,,2', 'x', '1,-1', 'NaN'].map((text): Case => [`ratios "${text}"`, () => parseMagRatios(text)]),
  ['no ratios', () => nearestRatios([], 3)],
  ['empty residuals', () => compareResiduals(new Float32Array(), new Float32Array(), 1)],
  ['residuals of other sizes', () => compareResiduals(one, Float32Array.of(1), 1)],
  ['residuals of which one is zero', () => compareResiduals(one, new Float32Array(2), 2)],
  ...notNumbers.flatMap((x): Case[] => [
    [`a residual of ${x}`, () => compareResiduals(Float32Array.of(1, x), one, 2)],
    [`a residual of ${x} before`, () => compareResiduals(one, Float32Array.of(x, 1), 1)],
  ]),
];

describe('is refused with what to do', () => {
  test.each(cases)('%s', (_, call) => {
    expect(call).toThrow(expect.objectContaining({ name: 'MagCacheError', remedy: expect.stringMatching(/\w/) }));
  });
});
