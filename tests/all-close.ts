import { expect } from 'vitest';

/** What the matcher compares: one number, or a flat list of numbers of any kind. */
export type Numbers = number | ArrayLike<number>;

export interface Tolerance {
  /** Allowed part of `|expected|`, default 0. */
  rtol?: number;
  /** Allowed absolute difference, default 0. */
  atol?: number;
}

export interface Difference {
  /** How many elements differ by more than the tolerance. */
  outside: number;
  /** Element that exceeds its tolerance most, or differs most when none does; -1 for empty lists. */
  worstIndex: number;
  largestAbsolute: number;
  /** Largest `|actual - expected| / |expected|`; infinite where something differs from an expected 0. */
  largestRelative: number;
}

declare module 'vitest' {
  interface Matchers<T> {
    /**
     * Every element satisfies `|actual - expected| <= atol + rtol * |expected|`; lengths are equal.
     *
     * Equal infinities are close, NaN is close to nothing. Without tolerances the values must be equal.
     */
    toBeAllClose(expected: Numbers, tolerance?: Tolerance): void;
  }
}

/** Compares two lists of the same length. */
export function difference(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: Tolerance = {},
): Difference {
  const { rtol = 0, atol = 0 } = tolerance;
  const result: Difference = { outside: 0, worstIndex: -1, largestAbsolute: 0, largestRelative: 0 };
  let worstExcess = -Infinity;
  for (let i = 0; i < expected.length; i++) {
    const a = actual[i] ?? NaN;
    const e = expected[i] ?? NaN;
    const absolute = a === e ? 0 : Number.isFinite(a) && Number.isFinite(e) ? Math.abs(a - e) : Infinity;
    const relative = absolute === 0 ? 0 : absolute === Infinity ? Infinity : absolute / Math.abs(e);
    // decided apart from the tolerance, which is infinite or NaN beside an expected infinity
    const excess =
      absolute === 0 ? -Infinity : absolute === Infinity ? Infinity : absolute - (atol + rtol * Math.abs(e));
    if (excess > 0) result.outside++;
    if (excess > worstExcess || result.worstIndex < 0) {
      worstExcess = excess;
      result.worstIndex = i;
    }
    result.largestAbsolute = Math.max(result.largestAbsolute, absolute);
    result.largestRelative = Math.max(result.largestRelative, relative);
  }
  return result;
}

expect.extend({
  toBeAllClose(actual: Numbers, expected: Numbers, tolerance: Tolerance = {}) {
    const a = toList(actual);
    const e = toList(expected);
    if (!a || !e) {
      const which = a ? 'expected' : 'actual';
      return {
        pass: false,
        message: () => `toBeAllClose compares numbers and flat lists of numbers: ${which} is neither`,
      };
    }
    if (a.length !== e.length) {
      return { pass: false, message: () => `expected ${e.length} elements, got ${a.length}` };
    }
    const { rtol = 0, atol = 0 } = tolerance;
    if (!(rtol >= 0 && atol >= 0)) throw new TypeError(`rtol ${rtol} and atol ${atol} must be numbers of at least 0`);
    const found = difference(a, e, tolerance);
    return { pass: found.outside === 0, message: () => describeDifference(a, e, found, rtol, atol) };
  },
});

function toList(value: unknown): ArrayLike<number> | undefined {
  if (typeof value === 'number') return [value];
  if (ArrayBuffer.isView(value) && 'length' in value && typeof value[0 as never] !== 'bigint') {
    return value as unknown as ArrayLike<number>;
  }
  return Array.isArray(value) && value.every((item) => typeof item === 'number') ? value : undefined;
}

function describeDifference(
  a: ArrayLike<number>,
  e: ArrayLike<number>,
  d: Difference,
  rtol: number,
  atol: number,
): string {
  const i = d.worstIndex;
  return [
    `${d.outside} of ${e.length} elements differ by more than atol ${atol} + rtol ${rtol} * |expected|`,
    `worst at index ${i}: actual ${a[i]}, expected ${e[i]}`,
    `largest absolute error ${d.largestAbsolute}, largest relative error ${d.largestRelative}`,
  ].join('\n');
}
