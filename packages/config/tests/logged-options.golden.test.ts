import { describe, expect, test } from 'vitest';

import { isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { findCommand, loggedOptions, optionsOf, plainDefault, readOptions } from '../src/index.ts';

type Logged = Record<string, null | boolean | number | string>;

const { logged_config: cases } = readGoldenJson<{
  logged_config: { log_config: boolean; logged: Logged | null }[];
}>('files', 'training_rules.json');
const recorded = cases.flatMap(({ logged }) => (logged ? [{ logged }] : []));

const command = findCommand('train')!;
const specs = new Map(optionsOf(command).map((spec) => [spec.name, spec]));

test('there are cases', () => {
  if (isDefaultGolden) expect(recorded.length).toBeGreaterThan(0);
});

describe.each(recorded.map(({ logged }, index) => ({ index, logged })))('case $index of --log_config', ({ logged }) => {
  // Options of other models are not those of this command.
  const known = Object.entries(logged).filter(([name]) => specs.has(name));

  test('gives the same names and values', async () => {
    const argv = known.flatMap(([name, value]) => {
      const spec = specs.get(name)!;
      const initial = plainDefault(spec.default);
      if (value === null || value === initial) return [];
      if (spec.type === 'bool') return [`--${name}`];
      if (spec.nargs === '*') return [`--${name}`, ...[...String(value).matchAll(/'([^']*)'/g)].map((m) => m[1] ?? '')];
      return [`--${name}`, String(value)];
    });
    const { options, problems } = await readOptions(command, argv, () => '');
    expect(problems).toEqual([]);
    const found = loggedOptions(options);
    // With another default in another of the original's scripts a value cannot be the same unless it is typed.
    const comparable = known.filter(([name, value]) => value !== null || specs.get(name)!.default === null);
    expect(comparable.length).toBeGreaterThan(60);
    expect(Object.fromEntries(comparable.map(([name]) => [name, found[name]]))).toEqual(Object.fromEntries(comparable));
  });

  test('leaves out what the original leaves out', async () => {
    const { options } = await readOptions(command, [], () => '');
    const names = Object.keys(loggedOptions(options));
    expect(names.filter((name) => /key|token|_dir$|^dit$|^vae$|weights$/.test(name))).toEqual(['dim_from_weights']);
  });
});

test('secrets are in no text of a configuration', async () => {
  const argv = ['--wandb_api_key', 'secret-1', '--huggingface_token', 'secret-2', '--dit', '/home/me/dit.safetensors'];
  const { options } = await readOptions(command, argv, () => '');
  expect(JSON.stringify(loggedOptions(options))).not.toMatch(/secret|home/);
});
