import type { EightBitBase } from '@musubi/config';

import { planEightBit } from '@musubi/quant-fp8';
import { expect, test } from 'vitest';

import { describeWholeRows } from './eight-bit-weights.ts';

const widths = [128, 128, 70];

function describeFor(setting: Partial<EightBitBase>): string | null {
  const all = { method: 'scaled', format: 'e4m3', mode: 'block', blockSize: 64, cacheDir: null, ...setting } as const;
  const weights = widths.map((width, i) => ({ name: `blocks.${i}.weight`, dtype: 'BF16', shape: [4, width] }) as const);
  const planned = planEightBit(weights, { ...all, targets: { include: null, exclude: [] } });
  return describeWholeRows(all, new Map(planned.map((tensor) => [tensor.name, tensor])));
}

test.each([
  [64, 1],
  [7, 2],
  [48, 3],
])('a block size of %d is said not to divide the rows of %d weights', (blockSize, count) => {
  expect(describeFor({ blockSize })).toBe(
    `fp8_block_size ${blockSize} does not divide the rows of ${count} of 3 weights: ` +
      'each of these rows has one scale, as with fp8_quant_mode = "channel".',
  );
});

test.each<Partial<EightBitBase>>([
  { blockSize: 2 },
  { mode: 'channel', blockSize: 7 },
  { mode: 'tensor', blockSize: 7 },
  { method: 'cast' },
  { method: 'int8' },
])('nothing is said with %o', (setting) => {
  expect(describeFor(setting)).toBeNull();
});
