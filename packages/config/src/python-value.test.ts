import { expect, test } from 'vitest';

import { float, int, list, pythonFloat, pythonRepr, pythonText, string, toPlain } from './python-value.ts';

test.each([
  [1, '1.0'],
  [0, '0.0'],
  [-0, '-0.0'],
  [2e-6, '2e-06'],
  [1e-4, '0.0001'],
  [0.00012345, '0.00012345'],
  [1e-5, '1e-05'],
  [1.5e-7, '1.5e-07'],
  [1e15, '1000000000000000.0'],
  [1e16, '1e+16'],
  [123456789012345680, '1.2345678901234568e+17'],
  [-1e100, '-1e+100'],
  [0.1 + 0.2, '0.30000000000000004'],
  [Number.NaN, 'nan'],
  [-Infinity, '-inf'],
])('prints the float %s as %s', (value, text) => {
  expect(pythonFloat(value)).toBe(text);
});

test('prints whole numbers without exponent', () => {
  expect(pythonText(int(Number.MAX_SAFE_INTEGER))).toBe('9007199254740991');
});

test('quotes texts only inside of others', () => {
  expect(pythonText(string('a'))).toBe('a');
  expect(pythonText(list([string('a'), string("it's"), string('\n\x01')]))).toBe(String.raw`['a', "it's", '\n\x01']`);
  expect(pythonRepr({ type: 'tuple', value: [float(0.9)] })).toBe('(0.9,)');
});

test('becomes plain JavaScript', () => {
  expect(toPlain({ type: 'table', value: [[string('a'), { type: 'tuple', value: [int(1), float(2)] }]] })).toEqual({
    a: [1, 2],
  });
});
