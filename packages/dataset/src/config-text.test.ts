import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { parseDatasetConfig } from './config-text.ts';

describe('parseDatasetConfig', () => {
  test('keeps whole numbers and floats apart in both formats', () => {
    const numbers = { whole: 30n, float: 30, exponent: 30, negative: -4n, big: 123456789012345678901234567890n };
    const json = '{"whole": 30, "float": 30.0, "exponent": 3e1, "negative": -4, "big": 123456789012345678901234567890}';
    expect(parseDatasetConfig(json, 'a.json')).toEqual(numbers);
    const { big: _, ...small } = numbers;
    expect(parseDatasetConfig('whole = 30\nfloat = 30.0\nexponent = 3e1\nnegative = -4', 'a.toml')).toEqual(small);
  });

  test('leaves texts with digits, quotes and escapes alone', () => {
    const value = { 'a 1': 'x 12 "34" \\ 5', b: ['-6', '7.5', ' 8 '] };
    expect(parseDatasetConfig(JSON.stringify(value, null, 2), 'a.json')).toEqual(value);
  });

  test('gives what JSON.parse gives when there are no whole numbers', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const floats = JSON.stringify(value, (_, one: unknown) => (typeof one === 'number' ? String(one) : one));
        expect(parseDatasetConfig(floats, 'a.JSON')).toEqual(JSON.parse(floats));
      }),
    );
  });

  test('reads a file with a byte order mark', () => {
    expect(parseDatasetConfig('\uFEFFa = 1', 'A.TOML')).toEqual({ a: 1n });
  });

  test.each([
    ['a = b', 'x.toml', 'TOML_SYNTAX'],
    ['a = 1\na = 2', 'x.toml', 'TOML_SYNTAX'],
    ['{"a": 1,}', 'x.json', 'JSON_SYNTAX'],
    ['{"a": 01}', 'x.json', 'JSON_SYNTAX'],
    ['', 'x.json', 'JSON_SYNTAX'],
    ['a: 1', 'x.yaml', 'UNSUPPORTED_CONFIG_FORMAT'],
    ['', 'toml', 'UNSUPPORTED_CONFIG_FORMAT'],
  ])('refuses %j in %s', (text, file, code) => {
    expect(() => parseDatasetConfig(text, file)).toThrow(expect.objectContaining({ code, file }));
  });

  test('says where the mistake is', () => {
    expect(() =>
      parseDatasetConfig('[[datasets]]\nimage_directory = img', 'data.toml'),
    ).toThrowErrorMatchingInlineSnapshot(
      `[DatasetError: data.toml, line 2, column 19: invalid value. Correct the line; text needs quotes, e.g. image_directory = "images".]`,
    );
  });
});
