import type { Runtime } from '@musubi/runtime';

import { cp, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

import { optimizers } from '@musubi/optimizers';
import { createNodeRuntime } from '@musubi/runtime/node';
import { samplerNames } from '@musubi/samplers';
import { scheduleNames } from '@musubi/schedulers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { planLearningRates } from '../src/node.ts';
import {
  type FinishedRun,
  type RunFolder,
  openRunFolder,
  readAdapter,
  readStore,
  short,
  wanRuns,
} from './run-folder.ts';

const outputOf = ({ outcome }: FinishedRun) => readAdapter(outcome.path ?? '');
const isFfn = (module: string) => module.includes('_ffn_');
const timestepsOf = ({ steps }: FinishedRun) => steps.flatMap(({ timesteps }) => timesteps);

/** What a schedule needs beside its name. */
const scheduleDetails: Readonly<Record<string, string>> = {
  constant: '',
  cosine_with_min_lr: '--lr_scheduler_min_lr_ratio 0.1',
  warmup_stable_decay: '--lr_warmup_steps 1 --lr_decay_steps 1',
  piecewise_constant: "--lr_scheduler_args step_rules='1:1,0.5'",
};

describe.each(wanRuns.slice(0, 1))('options of runs like %s', (name) => {
  let folder: RunFolder;
  let runtime: Runtime;
  let plain: FinishedRun;

  beforeAll(async () => {
    folder = await openRunFolder(name);
    runtime = await createNodeRuntime();
    plain = await folder.run(short(2), { runtime });
  });
  afterAll(async () => {
    await runtime.close();
    await folder.close();
  });

  const run = (options: string, steps = 2) => folder.run(`${short(steps)} ${options}`, { runtime });

  // Each sampler and each schedule once; they do not touch.
  const count = Math.max(samplerNames.length, scheduleNames.length);
  const pairs = Array.from({ length: count }, (_, i) => {
    const sampler = samplerNames[i % samplerNames.length] ?? 'uniform';
    return [sampler, scheduleNames[i % scheduleNames.length] ?? 'constant'] as const;
  });

  test.each(pairs)('timestep_sampling %s, lr_scheduler %s', async (sampler, schedule) => {
    const details = scheduleDetails[schedule] ?? '--lr_warmup_steps 1';
    const finished = await run(`--timestep_sampling ${sampler} --lr_scheduler ${schedule} ${details}`, 3);
    expect(finished.losses.every(Number.isFinite)).toBe(true);

    const timesteps = timestepsOf(finished);
    expect(timesteps.every((t) => t >= 1 && t <= 1001)).toBe(true);
    expect(new Set(timesteps).size).toBe(timesteps.length);

    const rates = finished.steps.map(({ stepLearningRates }) => stepLearningRates[0] ?? NaN);
    expect(rates.every((rate) => rate >= 0)).toBe(true);
    expect(Math.max(...rates)).toBeGreaterThan(0);
    // The rate that is told after a step is that of the next.
    expect(rates.slice(1)).toEqual(finished.steps.slice(0, -1).map(({ learningRates }) => learningRates[0]));
  });

  describe('timesteps', () => {
    test.each(['logit_normal', 'mode', 'cosmap', 'sigma_sqrt'])('weighting_scheme %s', async (scheme) => {
      const finished = await run(`--timestep_sampling sigma --weighting_scheme ${scheme}`);
      expect(finished.losses.every((loss) => Number.isFinite(loss) && loss > 0)).toBe(true);
    });

    test('weights scale the loss', async () => {
      const [none] = (await run('--timestep_sampling uniform', 1)).losses;
      const weighted = await run('--timestep_sampling uniform --weighting_scheme cosmap', 1);
      const weights = timestepsOf(weighted)
        .map((t) => (t - 1) / 1000)
        .map((s) => 2 / (Math.PI * (1 - 2 * s + 2 * s * s)));
      const ratio = weighted.losses[0]! / none!;
      expect(ratio).toBeGreaterThan(Math.min(...weights) * 0.99);
      expect(ratio).toBeLessThan(Math.max(...weights) * 1.01);
    });

    test('num_timestep_buckets spreads those of an epoch evenly', async () => {
      const counts = plain.lines.flatMap((line) => /^dataset \d+: \d+ items in (\d+) batches/.exec(line)?.[1] ?? []);
      const batches = counts.map(Number);
      const size = Math.max(...plain.steps.map(({ items }) => items.length));
      const buckets = size * Math.max(...batches);
      const options = `--timestep_sampling uniform --num_timestep_buckets ${buckets} --max_train_epochs 1`;
      const finished = await run(options);
      for (const dataset of batches.keys()) {
        const steps = finished.steps.filter(({ datasetIndex }) => datasetIndex === dataset);
        const slices = steps.flatMap((s) => s.timesteps).map((t) => Math.floor(((t - 1) / 1000) * buckets));
        expect(new Set(slices).size).toBe(slices.length);
      }
    });

    test.each(['', '--preserve_distribution_shape', '--preserve_distribution_shape --num_timestep_buckets 8'])(
      'min_timestep and max_timestep hold with "%s"',
      async (shape) => {
        const range = '--timestep_sampling uniform --min_timestep 300 --max_timestep 500';
        const timesteps = timestepsOf(await run(`${range} ${shape}`, 4));
        expect(timesteps.every((t) => t >= 301 && t <= 501)).toBe(true);
      },
    );

    test('a range that is never hit is found before the run starts', async () => {
      const options = '--timestep_sampling shift --sigmoid_scale 0.0001 --min_timestep 1 --max_timestep 2';
      const events: string[] = [];
      const hooks = { runtime, onEvent: ({ type }: { type: string }) => void events.push(type) };
      const words = `${short(2)} ${options} --preserve_distribution_shape`;
      await expect(folder.run(words, hooks)).rejects.toMatchObject({ code: 'RANGE_NEVER_HIT' });
      expect(events).toEqual([]);
    });
  });

  describe('learning rates', () => {
    test('lr_scheduler_type names a class of PyTorch', async () => {
      const options = '--lr_scheduler_type StepLR --lr_scheduler_args step_size=1 gamma=0.5 --learning_rate 1e-3';
      const { steps } = await run(options, 3);
      expect(steps.flatMap((s) => s.stepLearningRates)).toBeAllClose([1e-3, 5e-4, 2.5e-4], { rtol: 1e-12 });
    });

    test('are those of the plan, also where the length is given in epochs', async () => {
      const options =
        '--lr_scheduler cosine --lr_warmup_steps 0.2 --max_train_epochs 1 --network_args loraplus_lr_ratio=4';
      const { steps, config } = await run(options);
      const { schedule, totalSteps, baseRates } = await planLearningRates(config);
      expect(totalSteps).toBe(steps.length);
      const planned = steps.map((_, i) => baseRates.map((rate) => schedule(i, rate)));
      expect(steps.map(({ stepLearningRates }) => stepLearningRates)).toEqual(planned);
    });
  });

  describe('optimizers', () => {
    test.each(optimizers.map(({ names }) => names[0] ?? ''))('optimizer_type %s', async (optimizer) => {
      const finished = await run(`--optimizer_type ${optimizer} --learning_rate 1e-3`, 3);
      const { modules } = await outputOf(finished);
      expect(finished.losses.every(Number.isFinite)).toBe(true);
      expect(finished.losses[0]).toBe(plain.losses[0]);
      // Prodigy and the warm-up of RAdam move little in three steps, but they move.
      if (optimizer !== 'schedulefree.RAdamScheduleFree') {
        expect(modules.some(({ up }) => up.some((x) => x !== 0))).toBe(true);
      }
    });

    test('schedule-free ones save their average, and go on from what they train', async () => {
      const options = '--optimizer_type schedulefree.AdamWScheduleFree --learning_rate 1e-2';
      const often = await run(`${options} --save_every_n_steps 1`, 4);
      const seldom = await run(options, 4);
      // Passing to the average and back rounds.
      expect(often.losses).toBeAllClose(seldom.losses, { rtol: 1e-5 });
      const [saved, last] = [await outputOf(often), await outputOf(seldom)];
      saved.modules.forEach(({ up }, i) => expect(up).toBeAllClose(last.modules[i]!.up, { atol: 1e-6 }));
    });

    test('arguments are recorded', async () => {
      const finished = await run('--optimizer_args weight_decay=0.1 betas=(0.9,0.95)', 1);
      const metadata = await readStore(finished.outcome.path ?? '', (store) => store.metadata);
      expect(metadata['ss_optimizer']).toBe('torch.optim.adamw.AdamW(weight_decay=0.1,betas=(0.9, 0.95))');
    });
  });

  describe('modules', () => {
    test('exclude_patterns leave out, include_patterns take back in', async () => {
      const names = async (...args: string[]) => {
        const options = [...short(1).split(' '), '--network_args', ...args];
        return (await outputOf(await folder.run(options, { runtime }))).modules.map((m) => m.name);
      };
      const all = (await outputOf(plain)).modules.map((m) => m.name);
      expect(await names("exclude_patterns=[r'.*ffn.*']")).toEqual(all.filter((module) => !isFfn(module)));
      expect(await names("exclude_patterns=[r'.*']", "include_patterns=[r'.*ffn.*']")).toEqual(all.filter(isFfn));
    });

    test('patterns that leave nothing are refused', async () => {
      const options = [...short(1).split(' '), '--network_args', "exclude_patterns=[r'.*']"];
      await expect(folder.run(options, { runtime })).rejects.toMatchObject({ code: 'EMPTY_SELECTION' });
    });
  });

  describe('the seed', () => {
    test('is drawn and recorded when none is given, and gives the same run again', async () => {
      const config = await readFile('config.toml', 'utf8');
      await rename('config.toml', 'config-with-seed.toml');
      await writeFile('config.toml', config.replace(/^seed *=.*$/m, ''));
      const drawn = await run('');
      await rename('config-with-seed.toml', 'config.toml');
      const seed = (await readStore(drawn.outcome.path ?? '', (store) => store.metadata))['ss_seed'];
      expect(Number(seed)).toBeGreaterThanOrEqual(0);
      expect(drawn.losses).not.toEqual(plain.losses);

      const again = await run(`--seed ${seed}`);
      expect(again.losses).toEqual(drawn.losses);
      expect(await outputOf(again)).toEqual(await outputOf(drawn));
    });
  });

  describe('paths', () => {
    test('may be absolute', async () => {
      const absolute = join(folder.path, 'absolute.toml');
      const dataset = await readFile('dataset.toml', 'utf8');
      await writeFile(absolute, dataset.replace(/cache_directory = "/g, `$&${folder.path.replaceAll('\\', '/')}/`));
      const dit = resolve('dit.safetensors');
      const options = [
        ...short(2).split(' '),
        '--dataset_config',
        absolute,
        '--dit',
        dit,
        '--output_dir',
        resolve('abs'),
      ];
      const finished = await folder.run(options, { runtime });
      expect(finished.losses).toEqual(plain.losses);
      expect(finished.outcome.path).toBe(resolve('abs', `${finished.config.outputName}.safetensors`));
    });

    test('may have spaces, other letters and folders that are not there yet', async () => {
      const odd = join('caché d’été', '学習 データ', "it's 100% #1");
      await mkdir(odd, { recursive: true });
      await cp('cache', join(odd, 'cache'), { recursive: true });
      await cp('dit.safetensors', join(odd, 'dit ü.safetensors'));
      await cp('model.json', join(odd, 'model.json'));
      const dataset = await readFile('dataset.toml', 'utf8');
      const moved = dataset.replace(/cache_directory = "/g, `$&${odd.replaceAll('\\', '/')}/`);
      await writeFile(join(odd, 'dataset ö.toml'), moved);
      const options = [
        ...short(2).split(' '),
        '--dataset_config',
        join(odd, 'dataset ö.toml'),
        '--dit',
        join(odd, 'dit ü.safetensors'),
        '--output_dir',
        join(odd, 'new', 'ausgabe ß'),
        '--output_name',
        'mein lora é',
      ];
      const finished = await folder.run(options, { runtime });
      expect(finished.losses).toEqual(plain.losses);
      expect(finished.files).toEqual(['mein lora é.safetensors']);
      expect(dirname(finished.outcome.path ?? '')).toBe(join(odd, 'new', 'ausgabe ß'));
      const metadata = await readStore(finished.outcome.path ?? '', (store) => store.metadata);
      expect(metadata).toMatchObject({ ss_sd_model_name: 'dit ü.safetensors', ss_output_name: 'mein lora é' });
    });
  });
});
