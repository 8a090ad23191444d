import { mkdtempSync, readFileSync, readdirSync, rmSync, existsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TrainConfig } from '@musubi/config';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { CliContext } from './context.ts';
import { runCli } from './run-cli.ts';
import type { TrainHooks, TrainOutcome } from './trainer.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'musubi-cli-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const notAsked = () => Promise.reject(new Error('caches were asked for'));
const outcome: TrainOutcome = { status: 'finished', path: 'out/my_lora.safetensors', steps: 2 };

function setUp(runTraining: (config: TrainConfig, hooks: TrainHooks) => Promise<TrainOutcome> = async () => outcome) {
  const written = { stdout: '', stderr: '', exits: 0, listeners: new Set<() => void>(), loads: 0 };
  const context: CliContext = {
    stdout: { write: (text) => (written.stdout += text) },
    stderr: { write: (text) => (written.stderr += text) },
    environment: {},
    readText: async (path) => {
      if (path !== 'c.toml') throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
      return 'task = "t2v-1.3B"\nseed = 7\n';
    },
    loadTrainer: async () => {
      written.loads++;
      return { runTraining, runCacheLatents: notAsked, runCacheTexts: notAsked, estimateRun: notAsked };
    },
    onInterrupt(callback) {
      written.listeners.add(callback);
      return () => written.listeners.delete(callback);
    },
    exitAtOnce: () => written.exits++,
  };
  const run = (...argv: string[]) => runCli(argv, context);
  const press = () => written.listeners.forEach((callback) => callback());
  return { written, run, press };
}

const options = () =>
  Object.entries({
    config_file: 'c',
    dataset_config: 'd.toml',
    dit: 'dit.safetensors',
    network_module: 'networks.lora_wan',
    optimizer_type: 'AdamW',
    output_dir: join(folder, 'out'),
    output_name: 'my_lora',
  }).flatMap(([name, value]) => [`--${name}`, value]);

const step = (number: number) => ({
  step: number,
  totalSteps: 2,
  epoch: 1,
  totalEpochs: 1,
  loss: 0.5,
  averageLoss: 0.5,
  learningRates: [1e-4],
  groupNames: ['unet'],
  gradientNorm: 1,
  microStep: number,
  batchInEpoch: number,
  completesStep: true,
  stepLearningRates: [1e-4],
  datasetIndex: 0,
  items: ['cat'],
  timesteps: [500],
  isHighNoise: false,
});

describe('without training', () => {
  test('--version prints the version alone', async () => {
    const { written, run } = setUp();
    expect(await run('--version')).toBe(0);
    expect(written.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test.each([[['--help']], [['-h']], [['train', '--help']], [['wan_train_network.py', '--seed', '1', '-h']]])(
    '%j prints help on standard output',
    async (argv) => {
      const { written, run } = setUp();
      expect(await run(...argv)).toBe(0);
      expect(written.stdout).toContain('Usage: musubi');
      expect(written.loads).toBe(0);
    },
  );

  test('nothing at all prints help as an error', async () => {
    const { written, run } = setUp();
    expect(await run()).toBe(2);
    expect(written.stderr).toContain('Usage: musubi COMMAND');
  });

  test.each([
    [['trian'], 'error: "trian" is not a command. Did you mean "train"?\n'],
    [
      ['fpack_train_network'],
      'error: 3 problems\n  fpack_train_network: this model is not in this release. Commands that work: cache_latents, ',
    ],
    [['train', '--config_file', 'absent'], 'error: The configuration file absent.toml does not exist. '],
  ])('%j exits with 2', async (argv, message) => {
    const { written, run } = setUp();
    expect(await run(...argv)).toBe(2);
    expect(written.stderr.startsWith(message)).toBe(true);
    expect(written.loads).toBe(0);
  });

  test('all mistakes are one block', async () => {
    const { written, run } = setUp();
    expect(await run('train', ...options(), '--learnig_rate', '1', '--task', 'x')).toBe(2);
    expect(written.stderr).toMatch(/^error: 2 problems\n {2}--learnig_rate .*\n {2}--task x: .*\n$/);
    expect(existsSync(join(folder, 'out'))).toBe(false);
  });
});

describe('training', () => {
  test.each(['train', 'wan_train_network', 'wan_train_network.py'])(
    '%s gives the configuration to the trainer',
    async (word) => {
      const seen: TrainConfig[] = [];
      const { written, run } = setUp(async (config) => {
        seen.push(config);
        return outcome;
      });
      expect(await run(word, ...options(), '--seed', '8', '--sdpa')).toBe(0);
      expect(seen[0]).toMatchObject({ seed: 8, task: 't2v-1.3B', outputName: 'my_lora' });
      expect(written.stdout).toBe('Saved out/my_lora.safetensors after 2 steps.\n');
      expect(written.stderr).toMatch(/^note: sdpa: .*\n$/);
      expect(written.listeners.size).toBe(0);
    },
  );

  test('shows progress and writes a log', async () => {
    const { written, run } = setUp(async (_, { onStep, onEvent, logger }) => {
      onEvent({ type: 'start', totalSteps: 2, totalEpochs: 1 });
      onEvent({ type: 'epoch', epoch: 1, totalEpochs: 1 });
      onStep(step(1));
      logger('a line');
      onStep({ ...step(2), loss: Number.NaN });
      onEvent({ type: 'saved', path: 'out/my_lora.safetensors', step: 2 });
      onEvent({ type: 'epoch-end', epoch: 1, averageLoss: 0.5 });
      return outcome;
    });
    expect(await run('train', ...options())).toBe(0);
    expect(written.stderr).toContain('epoch 1/1\nsteps 1/2   50%');
    expect(written.stderr).toContain('a line\nsteps 2/2  100%');
    expect(written.stderr).toContain('saving checkpoint: out/my_lora.safetensors\n');

    const lines = readFileSync(join(folder, 'out', 'my_lora.log.jsonl'), 'utf8')
      .trimEnd()
      .split('\n');
    const records = lines.map((line): Record<string, unknown> => JSON.parse(line));
    expect(records.map(({ event }) => event)).toEqual([
      'start',
      'epoch',
      'batch',
      'batch',
      'saved',
      'epoch-end',
      'finished',
    ]);
    expect(records[2]).toMatchObject({
      step: 1,
      epoch: 1,
      'loss/current': 0.5,
      'loss/average': 0.5,
      'lr/unet': 1e-4,
      gradient_norm: 1,
    });
    expect(records[3]).toMatchObject({ 'loss/current': 'NaN' });
    expect(records[5]).toMatchObject({ 'loss/epoch': 0.5 });
  });

  test('a run that fails exits with 1 and its log says why', async () => {
    const { written, run } = setUp(async (_, { onEvent, onStep }) => {
      onEvent({ type: 'start', totalSteps: 2, totalEpochs: 1 });
      onStep(step(1));
      throw Object.assign(new Error('The loss is not finite. Lower learning_rate.'), {
        name: 'TrainerError',
        code: 'LOSS_NOT_FINITE',
        remedy: 'Lower learning_rate.',
      });
    });
    expect(await run('train', ...options())).toBe(1);
    expect(written.stderr.endsWith('error: The loss is not finite. Lower learning_rate.\n')).toBe(true);
    expect(readFileSync(join(folder, 'out', 'my_lora.log.jsonl'), 'utf8')).toContain('"event":"failed"');
    expect(written.listeners.size).toBe(0);
  });

  test('a run that is refused before it starts leaves no folder', async () => {
    const { run } = setUp(async () => {
      throw Object.assign(new Error('No datasets.'), { name: 'DatasetError', code: 'NO_DATASETS', remedy: '' });
    });
    expect(await run('train', ...options())).toBe(2);
    expect(existsSync(join(folder, 'out'))).toBe(false);
  });

  test('the first Ctrl-C lets the step end and exits with 130', async () => {
    const { written, run, press } = setUp(async (_, { signal }) => {
      press();
      expect(signal.aborted).toBe(true);
      return { ...outcome, status: 'interrupted' };
    });
    expect(await run('train', ...options())).toBe(130);
    expect(written.stderr).toBe('Stopping after this step, then saving. Ctrl-C again stops at once, without saving.\n');
    expect(written.stdout).toBe('Interrupted; saved out/my_lora.safetensors after 2 steps.\n');
    expect(written.exits).toBe(0);
  });

  test('the second Ctrl-C exits at once', async () => {
    const { written, run, press } = setUp(async () => {
      press();
      press();
      return outcome;
    });
    await run('train', ...options());
    expect(written.exits).toBe(1);
  });
});

const training = async (_: TrainConfig, { onStep, onEvent }: TrainHooks) => {
  onEvent({ type: 'start', totalSteps: 2, totalEpochs: 1 });
  onStep(step(1));
  onStep(step(2));
  onEvent({ type: 'epoch-end', epoch: 1, averageLoss: 0.5 });
  return outcome;
};

describe('trackers', () => {
  const offline = ['--log_with', 'all', '--wandb_run_name', 'mine'];

  test('without a key for wandb the run goes on, and is kept for later', async () => {
    const { written, run } = setUp(training);
    expect(await run('train', ...options(), ...offline, '--logging_dir', join(folder, 'logs'))).toBe(0);
    expect(written.stderr).toMatch(/wandb has no key, so the run is kept in (\S+)\./);
    const spool = /kept in (\S+)\./.exec(written.stderr)?.[1] ?? '';
    const [first, ...rows] = readFileSync(spool, 'utf8').trimEnd().split('\n');
    expect(JSON.parse(first ?? '')).toMatchObject({ run: { name: 'mine', project: 'network_train', config: {} } });
    expect(rows).toHaveLength(3);

    expect(await run('wandb', 'sync', folder)).toBe(2);
    expect(written.stderr).toContain('error: There is no key for wandb. Set WANDB_API_KEY in the environment.\n');
  });

  test('a folder that cannot be made is told before training', async () => {
    writeFileSync(join(folder, 'logs'), '');
    const { written, run } = setUp(training);
    expect(await run('train', ...options(), '--logging_dir', join(folder, 'logs'))).toBe(2);
    expect(written.stderr).toMatch(
      /^error: The log .* cannot be written: .* Choose another output_dir or logging_dir/m,
    );
  });

  test('a run that fails tells the trackers', async () => {
    const { run } = setUp(async (config, hooks) => {
      await training(config, hooks);
      throw new Error('lost');
    });
    expect(await run('train', ...options(), ...offline, '--logging_dir', join(folder, 'logs'))).toBe(1);
    const spools = readdirSync(join(folder, 'logs'), { recursive: true })
      .map(String)
      .filter((f) => f.endsWith('.jsonl'));
    expect(readFileSync(join(folder, 'logs', spools[0] ?? ''), 'utf8')).toContain('{"type":"exit","exitCode":1}');
  });

  test.each([
    [['wandb'], 'error: "wandb " is not a command. Write musubi wandb sync PATH.\n'],
    [['wandb', 'sync', '--all'], 'error: wandb sync has no --all. Write musubi wandb sync PATH.\n'],
  ])('%j exits with 2', async (argv, message) => {
    const { written, run } = setUp();
    expect(await run(...argv)).toBe(2);
    expect(written.stderr).toBe(message);
  });

  test('wandb --help prints help', async () => {
    const { written, run } = setUp();
    expect(await run('wandb', 'sync', '--help')).toBe(0);
    expect(written.stdout).toContain('Usage: musubi wandb sync');
  });
});
