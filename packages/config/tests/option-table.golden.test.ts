import { describe, expect, test } from 'vitest';

import { hasGolden, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { commandTable, findCommand, optionsOf, plainDefault, type OptionSpec } from '../src/index.ts';

interface GoldenOption {
  name: string;
  dest: string;
  type: string;
  default: unknown;
  choices?: string[];
  nargs?: string;
  action?: string;
}
interface GoldenScript {
  extends?: string;
  options: GoldenOption[];
}

/** Options that are ours, not the original's. */
const ours = {
  train: ['model_config', 'show_lr_schedule', 'qinglong_preset', 'qinglong_ratios'],
  'cache latents': ['architecture'],
  'cache text': ['architecture', 'tokenizer'],
  'average loras': [],
  'merge loras': [],
  'convert lora': [],
  quantize: [],
  estimate: [],
  inspect: [],
};

/** The original's command line reads 900, its file also 0.9: a float reads both. */
const widened: Record<string, string> = { timestep_boundary: 'float' };

const golden = hasGolden('options.json')
  ? readGoldenJson<{ groups: Record<string, GoldenOption[]>; scripts: Record<string, GoldenScript> }>('options.json')
  : { groups: {}, scripts: {} };

const scripts = Object.entries(golden.scripts).filter(([script]) => findCommand(script)?.script === script);

test('the golden list has every command of the table', () => {
  if (isDefaultGolden)
    expect(scripts.map(([script]) => script).toSorted()).toEqual(
      commandTable
        .flatMap(({ script, task }) => (['quantize', 'estimate', 'inspect'].includes(task) ? [] : script))
        .toSorted(),
    );
});

describe.each(scripts)('%s', (script, { extends: group, options: own }) => {
  const command = findCommand(script);
  const specs = new Map<string, OptionSpec>(command ? optionsOf(command).map((spec) => [spec.name, spec]) : []);
  const merged = new Map([...(golden.groups[group ?? ''] ?? []), ...own].map((option) => [option.dest, option]));

  test('has no other options and none twice', () => {
    expect([...specs.keys()].filter((name) => !merged.has(name))).toEqual(command && ours[command.task]);
    expect(command && optionsOf(command)).toHaveLength(specs.size);
  });

  test.each([...merged.values()])('$name', (expected) => {
    const spec = specs.get(expected.dest);
    expect(spec && describeSpec(spec)).toEqual({
      type: widened[expected.dest] ?? expected.type.replace(/^str$/, 'string'),
      default: expected.default,
      choices: expected.choices,
      nargs: expected.nargs,
    });
    expect(spec?.type === 'bool').toBe(expected.action === 'store_true');
  });
});

function describeSpec({ type, default: initial, choices, nargs }: OptionSpec) {
  return {
    type,
    default: plainDefault(initial),
    choices: choices && [...choices],
    nargs,
  };
}
