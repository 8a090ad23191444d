import { expect, test } from 'vitest';

import { locateKeys } from './toml-lines.ts';

test('finds keys behind everything that takes several lines', () => {
  const toml = [
    '# a = 0', // 1
    'a = 1 # b = 2',
    'list = [', // 3
    '  "x = 1", # ] "',
    "  'y', [",
    '  ],',
    ']',
    'text = """', // 8
    'no = 1',
    '[no]',
    String.raw`\""""" # "`,
    "raw = '''", // 12
    "it's = '' 1'''''",
    'table = { p = 1, q = "}" }', // 14
    '',
    '[one]',
    '"quoted key" = 1', // 17
    "'other' = 2",
    '  dotted.key = 3', // 19
    '[ two . "three" ]',
    'b = 4', // 21
    '[[many]]',
    'c = 5', // 23
  ].join('\r\n');

  expect(locateKeys(toml).map(({ section, key, line, written }) => `${line} ${section}/${key}: ${written}`)).toEqual([
    '2 /a: 1',
    '3 /list: ',
    '8 /text: ',
    '12 /raw: ',
    '14 /table: { p = 1, q = "}" }',
    '17 one/quoted key: 1',
    '18 one/other: 2',
    '19 one/dotted: 3',
    '21 two.three/b: 4',
    '23 many/c: 5',
  ]);
});

test('takes a dotted key at top level for a key of that section', () => {
  expect(locateKeys('a.b = 1')).toEqual([{ section: 'a', index: 0, key: 'b', line: 1, written: '1' }]);
});

test.each(['', '=', '[', '"', "'''", 'a = "\\', '\uFEFFa = 1'])('ends on %j', (toml) => {
  expect(locateKeys(toml).length).toBeLessThan(2);
});

test('counts the tables of a list', () => {
  const toml = '[general]\na = 1\n[[datasets]]\na = 2\n[[datasets]] # second\n\na = 3\n[[datasets.b]]\nc = 4';
  expect(locateKeys(toml).map(({ section, index, key, line }) => [section, index, key, line])).toEqual([
    ['general', 0, 'a', 2],
    ['datasets', 0, 'a', 4],
    ['datasets', 1, 'a', 7],
    ['datasets.b', 0, 'c', 9],
  ]);
});
