import fc from 'fast-check';
import { expect, test } from 'vitest';

import { cosineAndSine, logOf24Bits } from './float32-functions.ts';

test('the logarithm is that of all 24-bit fractions to the last bits', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 24 }), (k) => {
      expect([logOf24Bits(k)]).toBeAllClose([Math.log(k / 2 ** 24)], { rtol: 1.2e-7, atol: 1e-14 });
    }),
    { numRuns: 5000 },
  );
  expect(logOf24Bits(2 ** 24)).toBe(0);
});

test('cosine and sine are right on the whole circle', () => {
  const pair = new Float32Array(2);
  fc.assert(
    fc.property(fc.float({ min: 0, max: Math.fround(2 * Math.PI), noNaN: true }), (theta) => {
      cosineAndSine(theta, pair);
      expect(pair).toBeAllClose([Math.cos(theta), Math.sin(theta)], { atol: 1.2e-7 });
    }),
    { numRuns: 5000 },
  );
});
