import { expect, test } from 'vitest';

import { createLossAverage } from './loss-average.ts';

test('is the mean so far in the first epoch', () => {
  const average = createLossAverage();
  expect([1, 2, 6].map((loss, position) => average.add(position, loss))).toEqual([1, 1.5, 3]);
});

test('replaces the value of the same position afterwards', () => {
  const average = createLossAverage();
  average.add(0, 1);
  average.add(1, 3);
  expect(average.add(0, 5)).toBe(4);
  expect(average.add(1, 5)).toBe(5);
});

test('a loss that is not a number shows in the average', () => {
  const average = createLossAverage();
  average.add(0, 1);
  expect(average.add(1, Number.NaN)).toBeNaN();
});
