import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { LiteralSyntaxError, parsePythonLiteral } from './python-literal.ts';
import { bool, float, int, list, none, pythonRepr, string, type PythonValue } from './python-value.ts';

describe('parsePythonLiteral', () => {
  test.each<[string, PythonValue]>([
    ['3', int(3)],
    [' +3 ', int(3)],
    ['-0', int(0)],
    ['--2', int(2)],
    ['0x1F', int(31)],
    ['0b101', int(5)],
    ['1_000', int(1000)],
    ['000', int(0)],
    ['1.', float(1)],
    ['.5', float(0.5)],
    ['-1e-8', float(-1e-8)],
    ['1_0.2_5', float(10.25)],
    ['0.5e1', float(5)],
    ['True', bool(true)],
    ['None', none],
    ['\'a\' "b"', string('ab')],
    ["'''a\n'b'''", string("a\n'b")],
    [String.raw`'\x41\u00e9\n\q\101'`, string('Aé\n\\qA')],
    [String.raw`r'.*\.ffn\.(\d+)'`, string(String.raw`.*\.ffn\.(\d+)`)],
    [String.raw`r'it\'s'`, string(String.raw`it\'s`)],
    ['[]', list([])],
    ['[1, [2.0,], None]', list([int(1), list([float(2)]), none])],
    ['()', { type: 'tuple', value: [] }],
    ['(1)', int(1)],
    ['(1,)', { type: 'tuple', value: [int(1)] }],
    ['0.9, 0.999', { type: 'tuple', value: [float(0.9), float(0.999)] }],
    ['1,', { type: 'tuple', value: [int(1)] }],
    [
      "{'a': 1, 'b': (2, 3),}",
      {
        type: 'table',
        value: [
          [string('a'), int(1)],
          [string('b'), { type: 'tuple', value: [int(2), int(3)] }],
        ],
      },
    ],
  ])('reads %s', (text, value) => {
    expect(parsePythonLiteral(text)).toEqual(value);
  });

  test.each([
    '',
    ' ',
    'bar',
    'true',
    '1 2',
    '[1',
    '(1',
    "'a",
    "'a\nb'",
    '1a',
    '01',
    '1__0',
    '1_',
    '1+2',
    '3j',
    "b'x'",
    "f'x'",
    '{1}',
    '{1: }',
    '[,]',
    '-',
    '1:10,0.1',
    String.raw`'\x4'`,
    '9007199254740993',
    `${'['.repeat(100)}1${']'.repeat(100)}`,
    '[1 2]',
    "u'",
    'constructor',
  ])('refuses %s', (text) => {
    expect(() => parsePythonLiteral(text)).toThrow(LiteralSyntaxError);
  });

  test('says where the mistake is', () => {
    expect(() => parsePythonLiteral('[1, foo]')).toThrow(
      expect.objectContaining({ position: 4, code: 'LITERAL_SYNTAX' }),
    );
    expect(() => parsePythonLiteral('foo')).toThrow('the word foo is not a literal (a text needs quotes)');
  });

  test('reads back what pythonRepr writes', () => {
    const leaf = fc.oneof(
      fc.constant(none),
      fc.boolean().map(bool),
      fc.maxSafeInteger().map(int),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map(float),
      fc.string({ unit: 'binary' }).map(string),
    );
    const { value } = fc.letrec<{ value: PythonValue }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        leaf,
        fc.array(tie('value'), { maxLength: 4 }).map(list),
        fc.array(tie('value'), { maxLength: 4 }).map((values): PythonValue => ({ type: 'tuple', value: values })),
      ),
    }));
    fc.assert(
      fc.property(value, (any) => {
        expect(parsePythonLiteral(pythonRepr(any))).toEqual(any);
      }),
    );
  });

  test('never fails in another way, whatever the text', () => {
    const text = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...`[](){}'"\\rx0.1e-,:_TrueN `) }));
    fc.assert(
      fc.property(text, (any) => {
        try {
          parsePythonLiteral(any);
        } catch (error) {
          expect(error).toBeInstanceOf(LiteralSyntaxError);
        }
      }),
    );
  });
});
