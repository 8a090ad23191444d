import { describe, expect, test } from 'vitest';

import { parseArguments } from './argv.ts';
import { works, type OptionSpec } from './option-spec.ts';

const spec = (name: string, type: OptionSpec['type'], nargs?: '*'): OptionSpec => ({
  name,
  type,
  default: null,
  group: 'training',
  help: '',
  support: works,
  ...(nargs ? { nargs } : {}),
});
const specs = [spec('seed', 'int'), spec('name', 'string'), spec('fast', 'bool'), spec('args', 'string', '*')];

function parse(...argv: string[]) {
  const { arguments: found, problems } = parseArguments(specs, argv, (written) => ({
    code: 'UNKNOWN_OPTION',
    text: written,
    remedy: '',
  }));
  return {
    found: found.map(({ spec: { name }, texts }) => [name, ...texts]),
    problems: problems.map(({ code, text }) => [code, text]),
  };
}

describe('parseArguments', () => {
  test('takes the beginning of a name for the only option that begins so', () => {
    const two = [...specs, spec('seconds', 'int')];
    const { arguments: found, notes } = parseArguments(two, ['--see=1', '--na', 'x'], () => {
      throw new Error('unknown');
    });
    expect(found.map(({ spec: { name }, texts }) => [name, ...texts])).toEqual([
      ['seed', '1'],
      ['name', 'x'],
    ]);
    expect(notes).toEqual([
      '--see is taken for --seed; write the whole name',
      '--na is taken for --name; write the whole name',
    ]);
    expect(
      parseArguments(two, ['--se', '1'], () => ({ code: 'UNKNOWN_OPTION', text: '', remedy: '' })).problems,
    ).toEqual([
      {
        code: 'ARGUMENT_SYNTAX',
        text: '--se could be --seed or --seconds.',
        remedy: 'Write the whole name.',
        option: 'se',
      },
    ]);
  });

  test('gives values that stand alone to the positional options, in order', () => {
    const positionals = [spec('from', 'path'), spec('to', 'path')].map(
      (one) => ({ ...one, isPositional: true }) as const,
    );
    const { arguments: found, problems } = parseArguments(
      [...specs, ...positionals],
      ['a.txt', '--fast', '--args', 'x', '--seed', '1', 'b.txt', 'c.txt'],
      (written) => ({ code: 'UNKNOWN_OPTION', text: written, remedy: '' }),
    );
    expect(found.map(({ spec: { name }, texts }) => [name, ...texts])).toEqual([
      ['fast'],
      ['args', 'x'],
      ['seed', '1'],
      ['from', 'a.txt'],
      ['to', 'b.txt'],
    ]);
    expect(problems.map(({ value }) => value)).toEqual(['c.txt']);
  });

  test.each<[string[], string[][]]>([
    [
      ['--seed', '1', '--fast'],
      [['seed', '1'], ['fast']],
    ],
    [
      ['--seed=1', '--name='],
      [
        ['seed', '1'],
        ['name', ''],
      ],
    ],
    [['--name=a=b c'], [['name', 'a=b c']]],
    [['--seed', '-1'], [['seed', '-1']]],
    [['--seed', '-1e-3'], [['seed', '-1e-3']]],
    [['--seed', '-.5'], [['seed', '-.5']]],
    [['--name', '- a text'], [['name', '- a text']]],
    [['--name', '-'], [['name', '-']]],
    [
      ['--args', 'a=1', 'b=2', '--fast'],
      [['args', 'a=1', 'b=2'], ['fast']],
    ],
    [
      ['--args', '--fast'],
      [['args'], ['fast']],
    ],
    [['--args=a=1'], [['args', 'a=1']]],
    [
      ['--seed', '1', '--seed', '2'],
      [
        ['seed', '1'],
        ['seed', '2'],
      ],
    ],
    [[], []],
  ])('reads %j', (argv, found) => {
    expect(parse(...argv)).toEqual({ found, problems: [] });
  });

  test.each<[string[], string, string]>([
    [['--seed'], 'ARGUMENT_SYNTAX', '--seed has no value.'],
    [['--seed', '--fast'], 'ARGUMENT_SYNTAX', '--seed has no value.'],
    [['--fast=true'], 'ARGUMENT_SYNTAX', '--fast=true: fast is a switch and takes no value.'],
    [['--fast', 'true'], 'ARGUMENT_SYNTAX', '"true" stands on the command line without an option.'],
    [['--other', 'x', 'y'], 'UNKNOWN_OPTION', '--other'],
    [['--other=x'], 'UNKNOWN_OPTION', '--other'],
    [['-s', '1'], 'UNKNOWN_OPTION', '-s'],
    [['--e', '1'], 'UNKNOWN_OPTION', '--e'],
    [['-seed', '1'], 'UNKNOWN_OPTION', '-seed'],
  ])('refuses %j', (argv, code, text) => {
    expect(parse(...argv).problems).toEqual([[code, text]]);
  });
});
