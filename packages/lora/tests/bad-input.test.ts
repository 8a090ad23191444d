import { describe, expect, test } from 'vitest';

import * as lora from '../src/index.ts';

const notNumbers = [Number.NaN, Infinity, -Infinity];
const { createAdapter, createLora, drawDropout, emaBetas, factorize, gammaOfSigmaRel, limitWeightNorms, loraGroups } =
  lora;
type Case = readonly [what: string, call: () => unknown];

const generator = {
  uniform: (count: number) => new Float32Array(count),
  randn: (count: number) => new Float32Array(count),
  rand: (count: number) => new Float32Array(count),
  skip: () => {},
};
const size = { path: 'blocks.0.ffn.0', inFeatures: 4, outFeatures: 4 };
const make = (more: object = {}) => createLora({ modules: [size], rank: 2, generator, ...more });
const weights = (x: number) => {
  const { modules } = make();
  return { modules: modules.map((module) => ({ ...module, up: module.up.fill(x), down: module.down.fill(1) })) };
};

const cases: readonly Case[] = [
  ...[0, -1, 0.5, ...notNumbers].flatMap((n): Case[] => [
    [`a rank of ${n}`, () => make({ rank: n })],
    [`a layer of ${n} inputs`, () => make({ modules: [{ ...size, inFeatures: n }] })],
    [
      `a layer of ${n} outputs`,
      () => createAdapter({ kind: 'lokr', modules: [{ ...size, outFeatures: n }], generator }),
    ],
    [`factors of ${n}`, () => factorize(n)],
  ]),
  ...[0, -2, 0.5, ...notNumbers].map((n): Case => [`a factor of ${n}`, () => factorize(8, n)]),
  ...[-1, ...notNumbers].flatMap((n): Case[] => [
    [`an alpha of ${n}`, () => make({ alpha: n })],
    [`a learning rate of ${n}`, () => loraGroups(make(), n)],
    [`a ratio of ${n}`, () => loraGroups(make(), 1e-4, n)],
    [`a mask of ${n}`, () => drawDropout({ kind: 'lora', shape: [n, 1] }, { rank: 0.1 }, generator)],
    [`dropout of ${n}`, () => drawDropout({ kind: 'lora', shape: [1] }, { network: n }, generator)],
    [`a norm of at most ${n}`, () => limitWeightNorms(make(), n)],
    [`the average of ${n} files`, () => emaBetas(n)],
    [`a beta of ${n}`, () => emaBetas(3, { beta: n })],
    [`a width of ${n}`, () => gammaOfSigmaRel(n)],
  ]),
  ['dropout of everything', () => drawDropout({ kind: 'lora', shape: [1] }, { rank: 1 }, generator)],
  ['the average of no file', () => emaBetas(0)],
  ...notNumbers.map((x): Case => [`the norm of weights of ${x}`, () => limitWeightNorms(weights(x), 1)]),
];

describe('is refused with what to do', () => {
  test.each(cases)('%s', (_, call) => {
    expect(call).toThrow(expect.objectContaining({ name: 'LoraError', remedy: expect.stringMatching(/\w/) }));
  });
});
