import { expect, test } from 'vitest';

import { curvePath, rangeOf } from './curve.ts';

const frame = { left: 0, top: 0, right: 100, bottom: 10 };

test('a curve has low values below and its last at the share of the run that is done', () => {
  expect(curvePath([2, 1, 3], 5, { low: 1, high: 3 }, frame)).toBe('M0.0,5.0L25.0,10.0L50.0,0.0');
});

test('a long curve has no more points than asked for, and always the last', () => {
  const values = Array.from({ length: 1000 }, (_, i) => i);
  const points = curvePath(values, 1000, rangeOf([values]), frame, 100).split('L');
  expect(points.length).toBeLessThanOrEqual(101);
  expect(points.at(-1)).toBe('100.0,0.0');
});

test('there is a range where all values are equal', () => {
  expect(rangeOf([[2], [2]])).toEqual({ low: 1.5, high: 2.5 });
});

test('no values are no path', () => {
  expect(curvePath([], 10, { low: 0, high: 1 }, frame)).toBe('');
});
