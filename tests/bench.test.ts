import { expect, test } from 'vitest';
import { formatFigures, measure, median, meetsBar } from '../bench/harness.ts';

test.each([
  { values: [3], expected: 3 },
  { values: [5, 1, 9], expected: 5 },
  { values: [10, 2, 4, 8], expected: 6 },
])('the median of $values is $expected', ({ values, expected }) => {
  expect(median(values)).toBe(expected);
});

test('measure times every call but the warm-ups', async () => {
  let calls = 0;
  const timing = await measure(() => calls++, { warmups: 3, repeats: 4 });
  expect(calls).toBe(7);
  expect(timing.seconds).toHaveLength(4);
  expect(timing.median).toBeGreaterThanOrEqual(0);
});

test.each([
  { value: 2.6, atMost: 2.6, expected: true },
  { value: 2.7, atMost: 2.6, expected: false },
  { value: 0.7, atLeast: 0.7, expected: true },
  { value: 0.6, atLeast: 0.7, expected: false },
  { value: NaN, atMost: 1, expected: false },
  { value: 5, expected: true },
])('meetsBar is $expected for $value with at most $atMost, at least $atLeast', ({ expected, ...bars }) => {
  expect(meetsBar({ name: 'ratio', unit: 'x', ...bars })).toBe(expected);
});

test('the table says which figure misses its bar', () => {
  const table = formatFigures([
    { name: 'forward_ms', value: 1234.5678, unit: 'ms' },
    { name: 'backward_ratio', value: 2.71, unit: 'x', atMost: 2.6 },
    { name: 'limit', value: 0.71, unit: 'x', atLeast: 0.7 },
  ]);
  expect(table).toMatchInlineSnapshot(`
    "forward_ms      1235 ms
    backward_ratio  2.71 x   at most 2.6   MISSED
    limit           0.71 x   at least 0.7  ok"
  `);
});
