import { describe, expect, test } from 'vitest';

import { clipGradNorm, createOptimizer, optimizers, roundStochastically } from '../src/index.ts';

const notNumbers = [Number.NaN, Infinity, -Infinity];
type Case = readonly [what: string, call: () => unknown];

const names = optimizers.map((definition) => definition.names[0]!);
const group = (more: object = {}) => ({
  name: 'unet',
  learningRate: 1e-3,
  parameters: [{ name: 'w', shape: [2], data: Float32Array.of(1, 2) }],
  ...more,
});
const parameter = (more: object) =>
  group({ parameters: [{ name: 'w', shape: [2], data: Float32Array.of(1, 2), ...more }] });
const gradients = (size: number) => new Map([['w', new Float32Array(size)]]);

const cases: readonly Case[] = [
  ...names.flatMap((name) =>
    [-1, ...notNumbers].flatMap((n): Case[] => [
      [`${name} with the rate ${n}`, () => createOptimizer(name, [group({ learningRate: n })])],
      [`a step of ${name} with the rate ${n}`, () => createOptimizer(name, [group()]).step(gradients(2), [n])],
    ]),
  ),
  ...names.map((name): Case => [
    `a gradient of another size for ${name}`,
    () => createOptimizer(name, [group()]).step(gradients(1), [1]),
  ]),
  ...notNumbers.map((x): Case => [
    `a weight of ${x}`,
    () => createOptimizer('AdamW', [parameter({ data: Float32Array.of(1, x) })]),
  ]),
  ['no parameter', () => createOptimizer('AdamW', [])],
  ['an empty parameter', () => createOptimizer('AdamW', [parameter({ shape: [0], data: new Float32Array() })])],
  ['another shape', () => createOptimizer('AdamW', [parameter({ shape: [3] })])],
  ['eps of NaN', () => createOptimizer('Adafactor', [group()], { eps: [Number.NaN, 1] })],
  ...[-1, 1, Number.NaN].map((beta): Case => [
    `a beta of ${beta}`,
    () => createOptimizer('AdamW', [group()], { betas: [beta, 0.9] }),
  ]),
  ...[-1, Number.NaN].map((limit): Case => [`a norm of at most ${limit}`, () => clipGradNorm(gradients(1), limit)]),
  ['too few random numbers', () => roundStochastically(new Uint32Array(2), new Uint16Array(1))],
];

describe('is refused with what to do', () => {
  test.each(cases)('%s', (_, call) => {
    expect(call).toThrow(expect.objectContaining({ name: 'OptimizerError', remedy: expect.stringMatching(/\w/) }));
  });
});
