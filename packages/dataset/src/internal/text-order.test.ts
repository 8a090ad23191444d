import fc from 'fast-check';
import { expect, test } from 'vitest';

import { compareText } from './text-order.ts';

test('orders by code point', () => {
  // U+FF5E comes before U+1F600, whose first UTF-16 unit is smaller
  expect(['b', '\u{1F600}', '\uFF5E', 'ab', 'a', ''].toSorted(compareText)).toEqual([
    '',
    'a',
    'ab',
    'b',
    '\uFF5E',
    '\u{1F600}',
  ]);
});

test('agrees with the order of UTF-8 bytes', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '\uE000', '\uFF5E', '\u{10000}', '\u{1F600}') });
  fc.assert(fc.property(text, text, (a, b) => Math.sign(compareText(a, b)) === compareBytes(encode(a), encode(b))));
});

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const differing = a.findIndex((byte, i) => byte !== b[i]);
  return Math.sign(differing < 0 ? a.length - b.length : (a[differing] ?? 0) - (b[differing] ?? -1));
}
