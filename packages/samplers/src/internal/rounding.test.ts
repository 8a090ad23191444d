import fc from 'fast-check';
import { expect, test } from 'vitest';

import { roundTo } from './rounding.ts';

test.each([
  [1, 1],
  [0.1, 0.0999755859375],
  [65504, 65504],
  [65519.99, 65504],
  [65520, Infinity],
  [-1e9, -Infinity],
  [2 ** -24, 2 ** -24],
  [2 ** -25, 0],
  [3 * 2 ** -25, 2 ** -23],
  [1 + 2 ** -11, 1],
  [1 + 3 * 2 ** -11, 1 + 2 ** -9],
  [0, 0],
])('rounds %f to the float16 number %f', (value, expected) => {
  expect(roundTo.float16(value)).toBe(expected);
});

test.each([
  [1 + 2 ** -8, 1],
  [1 + 3 * 2 ** -8, 1 + 2 ** -6],
  [0.001, 0.00099945068359375],
  [Infinity, Infinity],
])('rounds %f to the bfloat16 number %f', (value, expected) => {
  expect(roundTo.bfloat16(value)).toBe(expected);
});

test.each(['bfloat16', 'float16'] as const)('rounds to %s once and for all, in order', (dtype) => {
  const round = roundTo[dtype];
  fc.assert(
    fc.property(
      fc.double({ noNaN: true, min: -70000, max: 70000 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (x, step) => {
        expect(round(round(x))).toBe(round(x));
        expect(round(x + step)).toBeGreaterThanOrEqual(round(x));
      },
    ),
  );
});
