import { parse } from 'smol-toml';
import { describe, expect, test } from 'vitest';

import { isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { ConfigError, findCommand, optionsOf, parseKeyValue, pythonText, readOptions, toPlain } from '../src/index.ts';
import type { ConfigErrorCode, OptionsRead, OptionSpec } from '../src/index.ts';

interface GoldenValue {
  type: string;
  value?: unknown;
}
interface GoldenCase {
  id: string;
  script: string;
  input: { files: Record<string, string>; argv: string[] };
  output: {
    namespace?: Record<string, GoldenValue>;
    keys_no_option_has?: string[];
    exit_code?: number;
    error?: string;
  };
}
interface GoldenKeyValue {
  input: string;
  kind: 'literal' | 'plain';
  output: { key: string; value: GoldenValue } | { error: string };
}

const golden = readGoldenJson<{ cases: GoldenCase[]; key_value: GoldenKeyValue[] }>('maths', 'config_loading.json');

/**
 * Where this package is stricter than the original on purpose. The original takes all of these silently; each rule finds
 * the keys of a case that it concerns, from the text of the case alone.
 */
const strictRules: Record<
  string,
  { code: ConfigErrorCode; keys: (flat: FlatKey[], specs: OptionSpec[], argv: string[]) => string[] }
> = {
  'the same key in two sections is refused': {
    code: 'DUPLICATE_KEY',
    keys: (flat) =>
      flat.filter(({ key }, index) => flat.findIndex((other) => other.key === key) < index).map(({ key }) => key),
  },
  'a table inside a section is refused': {
    code: 'WRONG_TYPE',
    keys: (flat) => flat.filter(({ value }) => isTable(value)).map(({ key }) => key),
  },
  'a value of the wrong type in the file is refused, except a number in quotes where the option is a float': {
    code: 'WRONG_TYPE',
    keys: (flat, specs) =>
      flat
        .filter(({ key, value }) => specs.some((spec) => spec.name === key && !fits(spec, value)))
        .map(({ key }) => key),
  },
  'choices are checked in the file too': {
    code: 'BAD_CHOICE',
    keys: (flat, specs) =>
      flat
        .filter(({ key, value }) =>
          specs.some(({ name, choices }) => name === key && choices && !choices.includes(String(value))),
        )
        .map(({ key }) => key),
  },
};

interface FlatKey {
  key: string;
  value: unknown;
}

function strictProblems({ script, input }: GoldenCase): { code: ConfigErrorCode; key: string }[] {
  const specs = specsOf(script);
  const text = input.files[configPath(input.argv) ?? ''];
  const flat = text === undefined ? [] : flatten(text);
  return Object.values(strictRules).flatMap(({ code, keys }) =>
    keys(flat, specs, input.argv).map((key) => ({ code, key })),
  );
}

/** A percentage or a number in quotes is read as on the command line, where the original keeps the text. */
function expectedValue(script: string, name: string, expected: GoldenValue): GoldenValue {
  const spec = specsOf(script).find((candidate) => candidate.name === name);
  if (expected.type === 'path') return { type: 'string', value: expected.value };
  if (expected.type !== 'string' || !/^(float|int_or_float)$/.test(spec?.type ?? '')) return expected;
  const percent = /^(.*)%$/.exec(String(expected.value));
  const number = percent ? Number(percent[1]) / 100 : Number(expected.value);
  const isSteps = !percent && spec?.type === 'int_or_float' && number >= 1 && Number.isInteger(number);
  return { type: isSteps ? 'int' : 'float', value: number };
}

/** The original keeps the name of the file without its extension; here it is the file that was read. */
const differingOptions = new Set(['config_file']);

describe('config_loading.json', () => {
  test('has cases', () => {
    if (isDefaultGolden) expect(golden.cases.length).toBeGreaterThan(0);
    if (isDefaultGolden) expect(golden.key_value.length).toBeGreaterThan(0);
  });

  describe.each(golden.cases)('$id', (goldenCase) => {
    const { script, input, output } = goldenCase;
    const read = () => readCase(script, input);

    if (output.error !== undefined || output.exit_code === 1) {
      test('is refused', async () => {
        const error = await read().catch((caught: unknown) => caught);
        expect(error).toBeInstanceOf(ConfigError);
        expect((error as ConfigError).code).toBe(output.exit_code === 1 ? 'CONFIG_FILE_NOT_FOUND' : 'TOML_SYNTAX');
        if (output.error !== undefined) expect((error as ConfigError).line).toBeGreaterThan(0);
      });
      return;
    }

    if (output.exit_code === 2) {
      test('is refused', async () => {
        expect((await read()).problems).toHaveLength(1);
      });
      return;
    }

    const strict = strictProblems(goldenCase);
    const unknown = (output.keys_no_option_has ?? []).map((key) => ({ code: 'UNKNOWN_OPTION' as const, key }));
    const refused = [...strict, ...unknown.filter(({ key }) => !strict.some((other) => other.key === key))];
    test(`refuses ${refused.map(({ key }) => key).join(', ') || 'nothing'}`, async () => {
      const { problems } = await read();
      const found = problems.map(({ code, option: key }) => ({ code, key }));
      expect(found).toHaveLength(refused.length);
      expect(found).toEqual(expect.arrayContaining(refused));
    });

    const readable = Object.entries(output.namespace ?? {}).filter(
      ([name]) => !refused.some(({ key }) => key === name),
    );
    if (readable.length > 0) {
      test.each(readable)('%s', async (name, expected) => {
        const { options } = await read();
        if (expected.type === 'absent') return expect(options.has(name)).toBe(false);
        const option = options.get(name);
        if (!option) throw new Error(`${name} is not in the table`);
        if (differingOptions.has(name)) return expect(toPlain(option.value)).toBe(configPath(input.argv));
        expect({ type: option.value.type, value: toPlain(option.value) }).toEqual(
          expectedValue(script, name, expected),
        );
      });
    }
  });

  describe('key_value', () => {
    test.each(golden.key_value)('$kind $input', ({ input, kind, output }) => {
      const read = parseKeyValue(input, kind);
      if ('error' in output) return expect(read).toMatchObject({ code: expect.stringMatching(/^BAD_/) });
      if (!('key' in read)) throw new Error(read.reason);
      expect({ key: read.key, type: read.value.type, value: toPlain(read.value) }).toEqual({
        key: output.key,
        type: output.value.type,
        value: output.value.value,
      });
      expect(pythonText(read.value)).not.toBe('');
    });
  });
});

function specsOf(script: string): OptionSpec[] {
  const command = findCommand(script);
  if (!command) throw new Error(`${script} is not a command`);
  return optionsOf(command);
}

function configPath(argv: string[]): string | null {
  const at = argv.indexOf('--config_file');
  return at < 0 ? null : (argv[at + 1] ?? '').replace(/(\.toml)?$/, '.toml');
}

function flatten(text: string): FlatKey[] {
  const keys: FlatKey[] = [];
  for (const [key, value] of Object.entries(parse(text, { integersAsBigInt: true }))) {
    if (isTable(value)) keys.push(...Object.entries(value).map(([inner, of]) => ({ key: inner, value: of })));
    else keys.push({ key, value });
  }
  return keys;
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function fits({ type, nargs }: OptionSpec, value: unknown): boolean {
  if (isTable(value)) return true; // refused as a table
  const one = (item: unknown): boolean => {
    if (type === 'bool') return typeof item === 'boolean';
    if (type === 'int') return typeof item === 'bigint';
    if (type === 'string' || type === 'path') return typeof item === 'string';
    return typeof item === 'string' ? /\d%?$/.test(item) : typeof item === 'bigint' || typeof item === 'number';
  };
  return nargs === '*' ? Array.isArray(value) && value.every(one) : one(value);
}

function readCase(script: string, { files, argv }: GoldenCase['input']): Promise<OptionsRead> {
  const command = findCommand(script);
  if (!command) throw new Error(`${script} is not a command`);
  return readOptions(command, argv, (path) => {
    const text = files[path];
    if (text === undefined) throw Object.assign(new Error(`no such file: ${path}`), { code: 'ENOENT' });
    return text;
  });
}
