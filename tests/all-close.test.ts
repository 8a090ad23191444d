import { describe, expect, test } from 'vitest';
import { difference } from './all-close.ts';

describe('toBeAllClose', () => {
  test.each([
    { name: 'equal lists without a tolerance', actual: [1, 2], expected: [1, 2], tolerance: {} },
    { name: 'typed arrays and lists', actual: Float32Array.of(0.1), expected: [0.1], tolerance: { rtol: 1e-7 } },
    { name: 'single numbers', actual: 1.05, expected: 1, tolerance: { atol: 0.1 } },
    { name: 'an error at the tolerance', actual: [1.5], expected: [1], tolerance: { atol: 0.25, rtol: 0.25 } },
    {
      name: 'equal infinities',
      actual: [Infinity, -Infinity],
      expected: [Infinity, -Infinity],
      tolerance: { rtol: 1e-6 },
    },
    { name: 'empty lists', actual: [], expected: [], tolerance: {} },
  ])('accepts $name', ({ actual, expected, tolerance }) => {
    expect(actual).toBeAllClose(expected, tolerance);
  });

  test.each([
    { name: 'a difference without a tolerance', actual: [1 + Number.EPSILON], expected: [1], tolerance: {} },
    { name: 'an error above the tolerance', actual: [1.6], expected: [1], tolerance: { atol: 0.25, rtol: 0.25 } },
    { name: 'NaN', actual: [NaN], expected: [NaN], tolerance: { atol: 1e9 } },
    { name: 'NaN where a number is expected', actual: [NaN], expected: [0], tolerance: { atol: 1e9 } },
    { name: 'a number where infinity is expected', actual: [1e30], expected: [Infinity], tolerance: { rtol: 1 } },
    { name: 'the other infinity', actual: [-Infinity], expected: [Infinity], tolerance: { rtol: 3, atol: 1 } },
    { name: 'a missing element', actual: [1], expected: [1, 2], tolerance: { atol: 9 } },
    { name: 'an additional element', actual: [1, 2], expected: [1], tolerance: { atol: 9 } },
  ])('refuses $name', ({ actual, expected, tolerance }) => {
    expect(() => expect(actual).toBeAllClose(expected, tolerance)).toThrow();
  });

  test('can be negated', () => {
    expect([1]).not.toBeAllClose([2], { atol: 0.5 });
    expect(() => expect([1]).not.toBeAllClose([1])).toThrow();
  });

  test('names the worst element and the largest errors', () => {
    expect(() => expect([1, 2.5, 100]).toBeAllClose([1, 2, 101], { rtol: 0.02 })).toThrowErrorMatchingInlineSnapshot(`
      [Error: 1 of 3 elements differ by more than atol 0 + rtol 0.02 * |expected|
      worst at index 1: actual 2.5, expected 2
      largest absolute error 1, largest relative error 0.25]
    `);
  });

  test('refuses what is not a list of numbers', () => {
    expect(() => expect('12').toBeAllClose([1, 2])).toThrow('actual is neither');
    expect(() => expect(BigInt64Array.of(1n)).toBeAllClose([1])).toThrow('actual is neither');
    expect(() => expect([1]).toBeAllClose([1], { rtol: -1 })).toThrow('at least 0');
  });
});

test('difference reports the largest errors of lists within the tolerance', () => {
  expect(difference([1, 2.5], [1, 2], { atol: 1 })).toEqual({
    outside: 0,
    worstIndex: 1,
    largestAbsolute: 0.5,
    largestRelative: 0.25,
  });
});
