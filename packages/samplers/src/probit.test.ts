import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { probit, probitClamped } from './probit.ts';

describe('probit', () => {
  // Tabulated values of the standard normal distribution (Abramowitz & Stegun, table 26.5), and its far tail.
  test.each([
    [0.5, 0],
    [0.975, 1.959963984540054],
    [0.8413447460685429, 1],
    [0.9986501019683699, 3],
    [1e-10, -6.361340902404056],
    [1e-300, -37.0470962993612],
  ])('of %f is %f', (p, z) => {
    // A probability near 1 itself is known to 1e-16 only.
    expect(Math.abs(probit(p) - z)).toBeLessThan(1e-14);
  });

  test('is odd around one half and increasing', () => {
    fc.assert(
      fc.property(fc.double({ min: 2 ** -40, max: 0.5, noNaN: true }), (p) => {
        // 1 − p loses digits of p.
        expect(Math.abs(probit(1 - p) + probit(p))).toBeLessThan(1e-4);
        expect(probit(p * 0.99)).toBeLessThan(probit(p));
      }),
    );
  });

  test('is infinite at the ends, and clamped there for stored numbers', () => {
    expect([probit(0), probit(1)]).toEqual([-Infinity, Infinity]);
    expect(probitClamped(0)).toBeCloseTo(-5.2, 1);
    expect(probitClamped(1)).toBeCloseTo(5.2, 1);
  });
});
