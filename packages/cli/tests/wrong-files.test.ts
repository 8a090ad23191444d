import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { goldenPath, isDefaultGolden } from '../../../tests/golden.ts';
import { wanRuns } from '../../trainer/tests/run-folder.ts';
import { runHere } from './run-here.ts';
import { writeSmallFolder } from './small-folder.ts';

/** Any will do. */
const [run = ''] = wanRuns;
const recorded = (name: string): string => goldenPath('runs', run, name);
test.runIf(isDefaultGolden)('there is a run', () => expect(run).not.toBe(''));

const folder = mkdtempSync(join(tmpdir(), 'musubi-wrong-files-'));
const at = (name: string): string => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

beforeAll(async () => {
  if (run === '') return;
  const files = { images: 'images', transformers: [], vae: 'vae.safetensors', textEncoder: 'umt5.safetensors' };
  await writeSmallFolder(folder, files);
  const from = (name: string, as: string) => cpSync(recorded(name), at(as));
  from('dit.safetensors', 'dit.safetensors');
  from('model.json', 'model.json');
  from('my_lora.safetensors', 'lora.safetensors');
  cpSync(recorded('cache'), at('cache'), { recursive: true });
  const dataset = readFileSync(recorded('dataset.toml'), 'utf8');
  writeFileSync(
    at('dataset.toml'),
    dataset.replace(/"((?:images|cache)\/.*)"/g, (_, name) => JSON.stringify(at(name))),
  );
  writeFileSync(
    at('pictures.toml'),
    `[general]\nresolution = [64, 64]\ncaption_extension = ".txt"\n[[datasets]]\nimage_directory = ${JSON.stringify(at('images'))}\n`,
  );
  writeFileSync(at('tracker.toml'), '[wandb]\nname = "a"\n');
});

/** The file that an option names, and what is made of it. */
const faults = {
  missing: () => at('absent'),
  folder() {
    mkdirSync(at('a-folder'), { recursive: true });
    return at('a-folder');
  },
  empty() {
    writeFileSync(at('empty'), '');
    return at('empty');
  },
  binary() {
    // a generator of its own, so that the bytes are the same each time
    let state = 1;
    const next = () => (state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) >>> 24;
    writeFileSync(at('binary'), Uint8Array.from({ length: 4096 }, next));
    return at('binary');
  },
  // Windows writes all of it, elsewhere it takes no room
  huge() {
    writeFileSync(at('huge'), '');
    truncateSync(at('huge'), process.platform === 'win32' ? 2 ** 29 + 1 : 2 ** 32 + 1);
    return at('huge');
  },
  'a file where a folder should be': () => at('model.json'),
};
type Fault = keyof typeof faults;

const ofFile: readonly Fault[] = ['missing', 'folder', 'empty', 'binary', 'huge'];
const ofFolder: readonly Fault[] = ['a file where a folder should be'];

interface Case {
  readonly command: string;
  readonly option: string;
  readonly faults?: readonly Fault[];
  /** Beside the options of the command. */
  readonly more?: () => readonly string[];
}

const optionsOf = (values: Readonly<Record<string, string>>): string[] =>
  Object.entries(values).flatMap(([name, value]) => [`--${name}`, value]);

const taskOf = (file: string): string => (JSON.parse(readFileSync(file, 'utf8')) as { task: string }).task;

const training = () =>
  optionsOf({
    dit: at('dit.safetensors'),
    model_config: at('model.json'),
    dataset_config: at('dataset.toml'),
    task: taskOf(at('model.json')),
    network_module: 'networks.lora_wan',
    network_dim: '4',
    optimizer_type: 'AdamW',
    learning_rate: '1e-4',
    max_train_steps: '1',
    device: 'cpu',
    output_dir: at('out'),
    output_name: 'a',
  });

const commands: Readonly<Record<string, () => readonly string[]>> = {
  train: training,
  estimate: training,
  wan_cache_latents: () =>
    optionsOf({ dataset_config: at('pictures.toml'), vae: at('vae.safetensors'), device: 'cpu' }),
  wan_cache_text_encoder_outputs: () =>
    optionsOf({
      dataset_config: at('pictures.toml'),
      t5: at('umt5.safetensors'),
      tokenizer: at('tokenizer'),
      device: 'cpu',
    }),
  merge_lora: () =>
    optionsOf({
      dit: at('dit.safetensors'),
      lora_weight: at('lora.safetensors'),
      save_merged_model: at('merged.safetensors'),
    }),
  convert_lora: () => optionsOf({ input: at('lora.safetensors'), output: at('other.safetensors'), target: 'other' }),
};

const cases: readonly Case[] = [
  { command: 'train', option: 'config_file' },
  { command: 'train', option: 'dit' },
  { command: 'train', option: 'dataset_config' },
  { command: 'train', option: 'model_config' },
  { command: 'train', option: 'network_weights' },
  { command: 'train', option: 'base_weights' },
  {
    command: 'train',
    option: 'dit_high_noise',
    more: () => ['--task', 't2v-A14B'],
  },
  {
    command: 'train',
    option: 'log_tracker_config',
    // an empty one says nothing, which is right
    faults: ofFile.filter((fault) => fault !== 'empty'),
    more: () => ['--log_with', 'wandb', '--wandb_api_key', 'none', '--logging_dir', at('logs')],
  },
  { command: 'train', option: 'output_dir', faults: ofFolder },
  { command: 'train', option: 'logging_dir', faults: ofFolder },
  { command: 'train', option: 'training_artifacts', faults: ofFolder },
  { command: 'train', option: 'fp8_cache_dir', faults: ofFolder, more: () => ['--int8_base'] },
  { command: 'estimate', option: 'dit' },
  { command: 'estimate', option: 'dataset_config' },
  { command: 'wan_cache_latents', option: 'dataset_config' },
  { command: 'wan_cache_latents', option: 'vae' },
  { command: 'wan_cache_text_encoder_outputs', option: 'dataset_config' },
  { command: 'wan_cache_text_encoder_outputs', option: 't5' },
  { command: 'wan_cache_text_encoder_outputs', option: 'tokenizer' },
  { command: 'merge_lora', option: 'dit' },
  { command: 'merge_lora', option: 'lora_weight' },
  { command: 'convert_lora', option: 'input' },
];

const all = cases.flatMap((one) => (one.faults ?? ofFile).map((fault) => ({ ...one, fault })));

const given = run === '' ? [] : all;

test.each(given)('$command --$option: $fault exits with 2 and is named', async ({ command, option, fault, ...one }) => {
  const path = faults[fault]();
  const argv = [command, ...(commands[command]?.() ?? []), ...(one.more?.() ?? []), `--${option}`, path];
  const { code, stdout, stderr } = await runHere(argv);
  const told = stderr.slice(stderr.indexOf('error: '));
  expect({ code, told }).toEqual({ code: 2, told: expect.stringContaining(option) });
  expect(told).toMatch(/^error: .*[.]\n$/s);
  expect(told).not.toMatch(/^ +at |internal:|undefined|\[object/m);
  expect(told.length).toBeLessThan(2000);
  expect(stdout).toBe('');
});

describe.runIf(run !== '')('a recorded run', () => {
  test.each(['num_repeats = -1', 'num_repeats = 0', 'batch_size = 0', 'batch_size = 70000'])(
    'a dataset with %s exits with 2',
    async (line) => {
      const dataset = readFileSync(at('dataset.toml'), 'utf8').replaceAll(/^\s*(batch_size|num_repeats)\s*=.*$/gm, '');
      // the last lines are those of a dataset
      writeFileSync(at('changed.toml'), `${dataset}\n${line}\n`);
      const { code, stdout, stderr } = await runHere(['train', ...training(), '--dataset_config', at('changed.toml')]);
      expect({ code, stdout, stderr }).toEqual({
        code: 2,
        stdout: '',
        stderr: expect.stringMatching(`^error: .*${line}`),
      });
    },
  );

  test.each(['int8_base', 'fp8_base'])('a file that a run with --%s made for itself exits with 2', async (option) => {
    const made = at(`of-${option}`);
    const first = await runHere(['train', ...training(), `--${option}`, '--fp8_cache_dir', made]);
    expect(first).toMatchObject({ code: 0 });
    const [file = ''] = readdirSync(made);
    const { code, stdout, stderr } = await runHere(['train', ...training(), '--dit', join(made, file)]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(`${join(made, file)} is no checkpoint: a run with ${option} made it for itself`);
    expect(stderr).toContain('Give the bfloat16, float16 or float32 file');
  });
});
