import { describe, expect, test } from 'vitest';

import { hasGolden, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import {
  commandTable,
  findCommand,
  optionsOf,
  plainDefault,
  readOptions,
  toPlain,
  type CommandSpec,
  type OptionSpec,
} from '../src/index.ts';

interface GoldenOption {
  name: string;
  dest: string;
  type: string;
  default: unknown;
  choices?: (string | null)[];
  nargs?: string | number;
  action?: string;
  positional?: boolean;
  required?: boolean;
}
interface GoldenScript {
  extends?: string;
  options: GoldenOption[];
}

/** Options that are ours, not the original's. */
const oursInTraining = [
  'architecture',
  'model_config',
  'int8_base',
  'device',
  'strict_device',
  'fp8_format',
  'fp8_quant_mode',
  'fp8_block_size',
  'fp8_cache_dir',
  'attn_mode',
  'attn_chunk',
  'gradient_checkpointing_every',
  'training_artifacts',
  'show_lr_schedule',
  'qinglong_preset',
  'qinglong_ratios',
];
const ours: Readonly<Record<CommandSpec['task'], readonly string[]>> = {
  train: oursInTraining,
  'train model': oursInTraining,
  'cache latents': ['architecture', 'strict_device'],
  'cache text': ['architecture', 'strict_device', 'tokenizer'],
  generate: ['architecture'],
  'average loras': [],
  'merge loras': [],
  'convert lora': [],
  'extract lora': [],
  quantize: [],
  estimate: [],
  inspect: [],
};

/** The original's command line reads 900, its file also 0.9: a float reads both. */
const widened: Record<string, string> = { timestep_boundary: 'float' };

const golden = hasGolden('options.json')
  ? readGoldenJson<{ groups: Record<string, GoldenOption[]>; scripts: Record<string, GoldenScript> }>('options.json')
  : { groups: {}, scripts: {} };

// Of HunyuanVideo 1.5 the names of the scripts are known, nothing more.
const scripts = Object.entries(golden.scripts).filter(([script]) => !script.startsWith('hv_1_5_'));

test('the golden list has every command of the table', () => {
  if (isDefaultGolden)
    expect(Object.keys(golden.scripts).toSorted()).toEqual(
      commandTable
        .flatMap(({ script, task }) => (['quantize', 'estimate', 'inspect'].includes(task) ? [] : script))
        .toSorted(),
    );
});

describe.each(scripts)('%s', (script, { extends: group, options: own }) => {
  const command = findCommand(`${script}.py`);
  if (command?.script !== script) throw new Error(`${script} is not a command`);
  const specs = new Map<string, OptionSpec>(optionsOf(command).map((spec) => [spec.name, spec]));
  const merged = new Map([...(golden.groups[group ?? ''] ?? []), ...own].map((option) => [option.dest, option]));

  test('has no other options and none twice', () => {
    const others = [...specs.keys()].filter((name) => !merged.has(name));
    expect(others.filter((name) => !ours[command.task].includes(name))).toEqual([]);
    expect(optionsOf(command)).toHaveLength(specs.size);
  });

  test.each([...merged.values()])('$name', async (expected) => {
    const spec = specs.get(expected.dest);
    expect(spec && describeSpec(spec)).toEqual({
      type: widened[expected.dest] ?? expected.type.replace(/^str$/, 'string'),
      default: expected.default,
      // null among the choices stands for the absent option.
      choices: expected.choices?.filter((choice) => choice !== null),
      nargs: expected.nargs,
    });
    expect(spec?.type === 'bool').toBe(expected.action === 'store_true');
    if (expected.required === true) expect(spec?.isRequired).toBe(true);
    await parsesAsTyped(command, expected);
  });
});

/** One value that the option takes, as it is typed and as it is read. */
async function parsesAsTyped(command: CommandSpec, { dest, positional, type, nargs, choices }: GoldenOption) {
  const typed = choices?.find((choice) => choice !== null) ?? { bool: '', str: 'a b', path: 'a/b.toml' }[type] ?? '1';
  const count = typeof nargs === 'number' ? nargs : nargs === undefined ? 1 : 2;
  const words = type === 'bool' ? [] : Array.from({ length: count }, () => typed);
  const argv = positional ? words : [`--${dest}`, ...words];
  const { options, problems } = await readOptions(command, argv, () => '');
  expect(problems).toEqual([]);
  const found = options.get(dest)?.value;
  const one = type === 'bool' ? true : /^(?:int|float|int_or_float)$/.test(type) ? 1 : typed;
  // Of a configuration file the name is completed.
  const value = dest === 'config_file' ? 'a b.toml' : one;
  expect(found && toPlain(found)).toEqual(nargs === undefined ? value : words.map(() => one));
  const wanted = { str: 'string', path: 'string', int_or_float: 'int' }[widened[dest] ?? type] ?? widened[dest] ?? type;
  expect(found?.type === 'list' ? found.value[0]?.type : found?.type).toBe(wanted);
}

function describeSpec({ type, default: initial, choices, nargs }: OptionSpec) {
  return {
    type,
    default: plainDefault(initial),
    choices: choices && [...choices],
    nargs,
  };
}
