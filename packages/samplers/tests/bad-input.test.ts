import { describe, expect, test } from 'vitest';

import * as samplers from '../src/index.ts';

const notNumbers = [Number.NaN, Infinity, -Infinity];
const { probit, lossWeighting, broadcastWeights, noisyLatents, sigmaOfTimestep, epochTimesteps } = samplers;
const { logitNormal, logsnr, ideogram4, quantile, uniform, numberSource, timestepHistogram } = samplers;
const { histogramText, histogramSvg, createBucketedUniform, createTimestepSampler, createHighLowSampler } = samplers;
const pool = { random: Math.random, uniform: (a: number, b: number) => (a + b) / 2, shuffle: () => {} };
const source = numberSource(() => 0.5);
const one = Float32Array.of(1);

type Case = readonly [what: string, call: () => unknown];

const cases: readonly Case[] = [
  ...[2, -0.1, ...notNumbers].map((p): Case => [`probit(${p})`, () => probit(p)]),
  ...[2, -0.1, ...notNumbers].map((u): Case => [`a quantile of ${u}`, () => quantile(uniform())(u)]),
  ...[0, -1, ...notNumbers].map((shift): Case => [`a shift of ${shift}`, () => logitNormal(1, shift)]),
  ...notNumbers.map((scale): Case => [`a sigmoid scale of ${scale}`, () => logitNormal(scale)]),
  ...notNumbers.map((mean): Case => [`a mean of ${mean}`, () => logsnr(mean)]),
  ...[-1, ...notNumbers].map((std): Case => [`a deviation of ${std}`, () => logsnr(0, std)]),
  ...[0, -1, ...notNumbers].map((width): Case => [`a width of ${width}`, () => ideogram4({ height: 8, width })]),
  ...notNumbers.map((x): Case => [`the sigma of timestep ${x}`, () => sigmaOfTimestep(x)]),
  ['an unknown dtype', () => sigmaOfTimestep(1, 'float8' as 'float32')],
  ...['none', 'sigma_sqrt', 'cosmap'].flatMap((weightingScheme) =>
    notNumbers.map((x): Case => [
      `${weightingScheme} at ${x}`,
      () => lossWeighting({ weightingScheme, timesteps: [1, x] }),
    ]),
  ),
  ['a weight of NaN', () => broadcastWeights(Float32Array.of(1, Number.NaN))],
  ...notNumbers.map((t): Case => [`latents with noise ${t}`, () => noisyLatents(one, one, [t])]),
  ['latents without timesteps', () => noisyLatents(one, one, [])],
  ['latents in an unknown dtype', () => noisyLatents(one, one, [0], 'int8' as 'float32')],
  ...[-1, 0.5, ...notNumbers].map((n): Case => [`${n} batches`, () => epochTimesteps(n, 1, 2, pool)]),
  ...[-1, 0, 0.5, ...notNumbers].map((n): Case => [`batches of ${n}`, () => epochTimesteps(1, n, 2, pool)]),
  ...[-1, 0.5, ...notNumbers].map((n): Case => [`${n} slices`, () => createBucketedUniform(n, pool)]),
  ...[2, -1, ...notNumbers].map((u): Case => [`a generator of ${u}`, () => numberSource(() => u).rand(1)]),
  ...[-1, 0.5, ...notNumbers].map((n): Case => [`${n} numbers`, () => source.randn(n)]),
  ...[-1, 0.5, ...notNumbers].map((draws): Case => [`${draws} draws`, () => timestepHistogram({}, { source, draws })]),
  ...[0, ...notNumbers].map((width): Case => [
    `a histogram of width ${width}`,
    () => timestepHistogram({}, { source, draws: 1, latentSize: { height: 8, width } }),
  ]),
  ['a text without counts', () => histogramText({ counts: [], weights: [1] })],
  ['a text of counts below 0', () => histogramText({ counts: [-1], weights: [1] })],
  ['a picture of NaN', () => histogramSvg({ ...timestepHistogram({}, { source, draws: 1 }), weights: [Number.NaN] })],
  ...[-1, 0.5, ...notNumbers].map((count): Case => [
    `a batch of ${count}`,
    () => createTimestepSampler({})({ count, latentShape: [1, 16, 1, 8, 8], source }),
  ]),
  ...[0, -1, 1001, ...notNumbers].map((timestepBoundary): Case => [
    `a boundary of ${timestepBoundary}`,
    () => createHighLowSampler(createTimestepSampler({}), { timestepBoundary }),
  ]),
];

describe('is refused with what to do', () => {
  test.each(cases)('%s', (_, call) => {
    expect(call).toThrow(expect.objectContaining({ name: 'SamplerError', remedy: expect.stringMatching(/\w/) }));
  });
});

test('the ends of what is allowed are not refused', () => {
  expect([probit(0), probit(1), quantile(uniform())(1)]).toEqual([-Infinity, Infinity, 1]);
  expect(broadcastWeights(Float32Array.of(Infinity, 1))).toEqual(Float32Array.of(Infinity, Infinity));
  expect(histogramText({ counts: [0], weights: [0] })).toHaveLength(4);
});
