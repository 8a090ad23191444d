import { describe, expect, test } from 'vitest';

import { resolveOptions } from './resolve-options.ts';

const minimal = Object.entries({
  dataset_config: 'd.toml',
  dit: 'dit.safetensors',
  task: 't2v-1.3B',
  network_module: 'networks.lora_wan',
  optimizer_type: 'AdamW',
  output_dir: 'out',
  output_name: 'my_lora',
}).flatMap(([name, value]) => [`--${name}`, value]);

async function loggingOf(argv: readonly string[], tracker = '') {
  const readText = () => tracker;
  return (await resolveOptions({ command: 'train', argv: [...minimal, ...argv], readText })).config.logging;
}

const none = { name: null, entity: null, group: null, jobType: null, notes: null, tags: [] };

describe('trackers', () => {
  test.each([
    [[], false, false],
    [['--logging_dir', 'logs'], true, false],
    [['--logging_dir', 'logs', '--log_with', 'tensorboard'], true, false],
    [['--logging_dir', 'logs', '--log_with', 'wandb'], false, true],
    [['--log_with', 'wandb'], false, true],
    [['--logging_dir', 'logs', '--log_with', 'all'], true, true],
  ])('%j', async (argv, tensorBoard, wandb) => {
    const found = await loggingOf(argv);
    expect([found.tensorBoard, found.wandb !== null]).toEqual([tensorBoard, wandb]);
  });

  test.each(['tensorboard', 'all'])('%s needs a folder', async (tracker) => {
    await expect(loggingOf(['--log_with', tracker])).rejects.toMatchObject({
      code: 'BAD_COMBINATION',
      remedy: 'Give a folder as logging_dir.',
    });
  });

  test('log_config sends options, and only with it', async () => {
    expect((await loggingOf([])).options).toBeNull();
    const { options } = await loggingOf(['--log_config', '--learning_rate', '1e-3']);
    expect(options).toMatchObject({ learning_rate: 1e-3, optimizer_type: 'AdamW', seed: null });
  });
});

describe('a run in wandb', () => {
  test('has its name and key from options', async () => {
    const argv = ['--log_with', 'wandb', '--wandb_run_name', 'mine', '--wandb_api_key', 'k'];
    expect((await loggingOf(argv)).wandb).toEqual({ ...none, name: 'mine', apiKey: 'k' });
  });

  test('is described by log_tracker_config instead of wandb_run_name', async () => {
    const argv = ['--log_with', 'wandb', '--wandb_run_name', 'mine', '--log_tracker_config', 't.toml'];
    const toml =
      '[wandb]\nname = "other"\nentity = "team"\njob_type = "lora"\ntags = ["a", "b"]\n[tensorboard]\nmax_queue = 3\n';
    const wanted = { ...none, name: 'other', entity: 'team', jobType: 'lora', tags: ['a', 'b'], apiKey: null };
    expect((await loggingOf(argv, toml)).wandb).toEqual(wanted);
    expect((await loggingOf(argv, '')).wandb).toEqual({ ...none, apiKey: null });
  });

  test.each([
    ['[wandb]\nentitty = "team"\n', 'Did you mean "entity"?'],
    ['[wandb]\ntags = "a"\n', 'tags is not a list of texts'],
    ['[wandb]\nname = 3\n', 'name is not a text'],
    ['[wandbb]\n', 'it has a section [wandbb]'],
    ['[wandb\n', 'the file cannot be read'],
  ])('log_tracker_config %j is refused', async (toml, message) => {
    const argv = ['--log_with', 'wandb', '--log_tracker_config', 't.toml'];
    await expect(loggingOf(argv, toml)).rejects.toThrow(message);
  });
});
