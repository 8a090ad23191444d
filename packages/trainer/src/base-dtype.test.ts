import { expect, test } from 'vitest';

import { baseDtype } from './base-dtype.ts';

test.each([
  ['float32', [['F32', 8]]],
  [
    'bfloat16',
    [
      ['F32', 4],
      ['BF16', 200],
    ],
  ],
  [
    'float16',
    [
      ['F16', 2],
      ['BF16', 1],
    ],
  ],
  [
    'bfloat16',
    [
      ['BF16', 40],
      ['F32', 20],
      ['F32', 16],
    ],
  ],
] as const)('%s is what most bytes are: %j', (expected, list) => {
  const weights = new Map(list.map(([dtype, byteLength], i) => [`w${i}`, { dtype, byteLength }]));
  expect(baseDtype(weights)).toBe(expected);
});
