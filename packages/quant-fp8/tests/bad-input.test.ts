import { describe, expect, test } from 'vitest';

import { chooseGrouping, dequantizeWeight, encodeScaled, quantizeWeight } from '../src/index.ts';

const notNumbers = [Number.NaN, Infinity, -Infinity];
type Case = readonly [what: string, call: () => unknown];

const one = quantizeWeight({ name: 'w', dtype: 'F32', shape: [1, 1], data: new Uint8Array(Float32Array.of(1).buffer) });
const cases: readonly Case[] = [
  ...[0, -1, ...notNumbers].map((scale): Case => [
    `a scale of ${scale}`,
    () => encodeScaled(Float32Array.of(1), scale, 'e4m3'),
  ]),
  ...[-1, 0.5, ...notNumbers].flatMap((size): Case[] => [
    [`a weight of ${size} rows`, () => chooseGrouping([size, 64], 'block')],
    [`codes of ${size} rows`, () => dequantizeWeight({ ...one, shape: [size, 64] })],
    [`scales of ${size} rows`, () => dequantizeWeight({ ...one, scaleShape: [size, 1] })],
    [`a block of ${size}`, () => chooseGrouping([64, 64], 'block', size)],
  ]),
  ...notNumbers.map((x): Case => [
    `a weight of ${x}`,
    () => quantizeWeight({ name: 'w', dtype: 'F32', shape: [1], data: new Uint8Array(Float32Array.of(x).buffer) }),
  ]),
  ['a weight of no rows', () => chooseGrouping([0, 64], 'block')],
  ['an unknown format', () => encodeScaled(Float32Array.of(1), 1, 'e3m4' as 'e4m3')],
  ['scales of NaN', () => dequantizeWeight({ ...one, scales: Float32Array.of(Number.NaN) })],
];

describe('is refused with what to do', () => {
  test.each(cases)('%s', (_, call) => {
    expect(call).toThrow(expect.objectContaining({ name: 'Fp8Error', remedy: expect.stringMatching(/\w/) }));
  });
});
