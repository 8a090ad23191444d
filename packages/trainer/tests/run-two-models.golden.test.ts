import type { HostTensor } from '@musubi/onnx-graph';
import type { Runtime } from '@musubi/runtime';

import { existsSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';

import { loraParameters } from '@musubi/lora';
import { wan } from '@musubi/models';
import { createNodeRuntime } from '@musubi/runtime/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { goldenPath, isDefaultGolden } from '../../../tests/golden.ts';
import { casesOf } from '../../models/tests/wan-cases.ts';
import { createTrainingModel } from '../src/index.ts';
import { type Call, recording } from './recording-runtime.ts';
import {
  type FinishedRun,
  type RunFolder,
  openRunFolder,
  readAdapter,
  readStore,
  rewriteTensors,
  short,
  wanRuns,
} from './run-folder.ts';
import { locate, openModel, openSession } from './training-case.ts';

/** Models of a pair, that a run's caches fit. */
const pairs = casesOf('text to video').filter(({ name }) =>
  existsSync(goldenPath('models', 'wan', name, 'checkpoint_high_noise.safetensors')),
);
const [run] = wanRuns;
/** As many as make it certain that both models are used. */
const steps = 12;
const boundary = 0.875;

test('there are a pair and a run', () => {
  if (isDefaultGolden) expect([pairs.length, wanRuns.length]).not.toContain(0);
});

describe.each(run === undefined ? [] : pairs)('a run on both models of $name', (pair) => {
  let folder: RunFolder;
  let runtime: Runtime;
  let both: FinishedRun;
  const calls: Call[] = [];

  const low = `--task ${pair.task} --dit low.safetensors --network_weights lora.safetensors`;
  const two = `${low} --dit_high_noise high.safetensors`;
  const { num_heads, text_len, eps } = pair.configuration;
  const modelConfig = ['--model_config', JSON.stringify({ num_heads, text_len, eps })];
  const sampling = '--timestep_sampling shift --discrete_flow_shift 5';
  const train = (options: string, engine = runtime) =>
    folder.run([...`${short(steps)} ${sampling} ${options}`.split(' '), ...modelConfig], { runtime: engine });

  beforeAll(async () => {
    [folder, runtime] = [await openRunFolder(run!), await createNodeRuntime()];
    for (const [from, to] of [
      ['checkpoint', 'low'],
      ['checkpoint_high_noise', 'high'],
      ['lora', 'lora'],
    ]) {
      await cp(goldenPath('models', 'wan', pair.name, `${from}.safetensors`), join(folder.path, `${to}.safetensors`));
    }
    both = await train(two, recording(runtime, calls));
  });
  afterAll(async () => {
    await runtime.close();
    await folder.close();
  });

  /** The losses that one model has for what a run fed. */
  async function lossesOf(checkpoint: string, fed: readonly Call[]): Promise<number[]> {
    const model = await openModel(pair, join(folder.path, checkpoint));
    const adapter = await readAdapter('lora.safetensors');
    const { evaluation } = createTrainingModel({
      architecture: wan,
      config: model.config,
      weights: model.source(locate),
      adapter,
    });
    const session = await openSession(evaluation, model.folder);
    const losses = [];
    for (const { feeds } of fed) losses.push(Number((await session.run(feeds))['loss']?.data[0]));
    await session.release();
    await model.close();
    return losses;
  }

  test('gives each batch to the model on whose side all its timesteps lie', () => {
    expect(new Set(both.steps.map(({ isHighNoise }) => isHighNoise))).toEqual(new Set([false, true]));
    for (const { timesteps, isHighNoise } of both.steps) {
      for (const timestep of timesteps) expect(timestep / 1000 >= boundary).toBe(isHighNoise);
    }
    if (isDefaultGolden) expect(both.steps.some(({ timesteps }) => timesteps.length > 1)).toBe(true);
  });

  test('has for each batch the loss of that model alone', async () => {
    const [ofLow, ofHigh] = [await lossesOf('low.safetensors', calls), await lossesOf('high.safetensors', calls)];
    const expected = both.steps.map(({ isHighNoise }, i) => (isHighNoise ? ofHigh : ofLow)[i]!);
    // The runtime packs weights.
    expect(both.losses).toBeAllClose(expected, { rtol: 1e-6 });
    both.losses.forEach((loss, i) => {
      const other = (both.steps[i]!.isHighNoise ? ofLow : ofHigh)[i]!;
      expect(Math.abs(other / loss - 1)).toBeGreaterThan(1e-3);
    });
  });

  test('trains one adapter on both', async () => {
    const parameters = loraParameters(await readAdapter('lora.safetensors'));
    const names = parameters.map(({ name }) => name);
    const changed = (i: number) =>
      names.some((name) => calls[i]!.feeds[name]!.data.some((x, k) => x !== calls[i - 1]!.feeds[name]!.data[k]));
    for (let i = 1; i < steps; i++) expect(changed(i)).toBe(true);
  });

  test('on twice the same checkpoint is a run on that one with the same noise and timesteps', async () => {
    const fed: Call[] = [];
    const twice = await train(`${low} --dit_high_noise low.safetensors`, recording(runtime, fed));
    expect(twice.steps.some(({ isHighNoise }) => isHighNoise)).toBe(true);
    const once = await train(low, replaying(runtime, fed));
    expect(once.losses).toEqual(twice.losses);
    expect(await readAdapter(once.outcome.path!)).toEqual(await readAdapter(twice.outcome.path!));
    expect((await train(low)).losses).not.toEqual(twice.losses);
  });

  test('with offload_inactive_dit is the same, with one session at a time', async () => {
    const { counts, engine } = counting(runtime);
    const offloaded = await train(`${two} --offload_inactive_dit`, engine);
    expect(offloaded.losses).toEqual(both.losses);
    const changes = both.steps.filter(
      ({ isHighNoise }, i) => isHighNoise !== (both.steps[i - 1]?.isHighNoise ?? false),
    );
    expect(counts).toEqual({ created: 1 + changes.length, open: 0, most: 1 });
    expect(offloaded.lines.join('\n')).toContain('offload_inactive_dit: ');

    const plain = counting(runtime);
    await train(two, plain.engine);
    expect(plain.counts).toEqual({ created: 2, open: 0, most: 2 });
  });

  test('has the same bits with gradient_checkpointing', async () => {
    const checkpointed = await train(`${two} --gradient_checkpointing`);
    expect(checkpointed.losses).toEqual(both.losses);
    expect(await readAdapter(checkpointed.outcome.path!)).toEqual(await readAdapter(both.outcome.path!));
  });

  test('drops the same with and without gradient_checkpointing', async () => {
    const dropping = `${two} --network_dropout 0.3 --network_args rank_dropout=0.3 module_dropout=0.1`;
    const dropped = await train(dropping);
    expect(dropped.losses).not.toEqual(both.losses);
    expect(dropped.losses.every(Number.isFinite)).toBe(true);
    expect((await train(`${dropping} --gradient_checkpointing`)).losses).toEqual(dropped.losses);
  });

  test.each([
    ['--min_timestep 0 --max_timestep 874 --preserve_distribution_shape', false],
    ['--min_timestep 875 --max_timestep 1000', true],
    ['--timestep_boundary 0.0001', true],
    ['--timestep_boundary 1', false],
  ])('with %s all is high noise: %s', async (options, isHighNoise) => {
    const only = await train(`${two} ${options}`);
    // A timestep is 1000·t + 1, so that the largest lie above a boundary of 1.
    const expected = only.steps.map(({ timesteps }) => (timesteps[0]! > 1000 ? true : isHighNoise));
    expect(only.steps.map((step) => step.isHighNoise)).toEqual(expected);
  });

  test('reads the boundary as a share or as a timestep', async () => {
    const [share, timestep] = [
      await train(`${two} --timestep_boundary 0.95`),
      await train(`${two} --timestep_boundary 950`),
    ];
    expect(timestep.losses).toEqual(share.losses);
    expect(share.losses).not.toEqual(both.losses);
    expect(share.lines.join('\n')).toContain('from timestep 950 on high.safetensors');
  });

  test('draws again from a pool of its own with num_timestep_buckets, and says so', async () => {
    const pooled = await train(`${two} --num_timestep_buckets 4`);
    for (const { timesteps, isHighNoise } of pooled.steps) {
      for (const step of timesteps) expect(step / 1000 >= boundary).toBe(isHighNoise);
    }
    expect(pooled.losses).not.toEqual(both.losses);
    expect(pooled.lines.join('\n')).toContain('num_timestep_buckets');
  });

  test('adds base_weights to the low noise model, as the original does', async () => {
    // A rate so low that float32 weights do not move.
    const added = await train(`${two} --learning_rate 1e-30 --base_weights lora.safetensors`);
    const plain = await train(`${two} --learning_rate 1e-30`);
    plain.steps.forEach(({ isHighNoise, loss }, i) => expect(added.losses[i] === loss).toBe(isHighNoise));
    expect(added.lines.join('\n')).toContain('base_weights are added to the low noise model only');
  });

  test('takes a second model of another number type', async () => {
    await rewriteTensors('high.safetensors', 'high-bf16.safetensors', (tensor) => ({ ...tensor, dtype: 'BF16' }));
    const narrow = await train(`${low} --dit_high_noise high-bf16.safetensors --offload_inactive_dit`);
    expect(narrow.losses).toBeAllClose(both.losses, { rtol: 1e-2 });
    expect(narrow.steps.map((step) => step.timesteps)).toEqual(both.steps.map((step) => step.timesteps));
  });

  test('records the low noise model alone, as the original does', async () => {
    const { ss_musubi_ts_config: ours, ...metadata } = await readStore(both.outcome.path!, (store) => store.metadata);
    expect(ours).toContain('high.safetensors');
    expect(metadata['ss_sd_model_name']).toBe('low.safetensors');
    expect(JSON.stringify(metadata)).not.toContain('high.safetensors');
  });

  test.each([
    ['--dit_high_noise none.safetensors', { code: 'FILE_UNUSABLE', facts: { option: 'dit_high_noise' } }],
    ['--dit_high_noise dit.safetensors', { code: 'FILE_UNUSABLE', message: expect.stringContaining('instead of') }],
  ])('refuses %s', async (options, error) => {
    const { facts, ...rest } = { facts: {}, ...error };
    await expect(train(`${two} ${options}`)).rejects.toMatchObject({ ...rest, facts: expect.objectContaining(facts) });
  });

  test('refuses a task that has no boundary of its own where none is given', async () => {
    const message = expect.stringMatching(/Give timestep_boundary/);
    await expect(train(`${two} --task t2v-14B`)).rejects.toMatchObject({ code: 'BAD_COMBINATION', message });
  });

  test('says of options for two models that they have no effect on one', async () => {
    const one = await train(`${low} --timestep_boundary 0.9 --offload_inactive_dit`);
    expect(one.lines.filter((line) => line.includes('no effect: there is no dit_high_noise'))).toHaveLength(2);
    expect(one.losses).toEqual((await train(low)).losses);
  });
});

const isAdapter = ([name]: [string, HostTensor]): boolean => name.startsWith('lora_unet_');

/** Feeds batches of another run in place of a run's own, but its own adapter. */
function replaying(runtime: Runtime, calls: readonly Call[]): Runtime {
  let next = 0;
  return {
    ...runtime,
    async createSession(request) {
      const session = await runtime.createSession(request);
      return {
        ...session,
        run: (feeds, wanted) => {
          const own = Object.fromEntries(Object.entries(feeds).filter(isAdapter));
          return session.run({ ...calls[next++]!.feeds, ...own }, wanted);
        },
      };
    },
  };
}

function counting(runtime: Runtime) {
  const counts = { created: 0, open: 0, most: 0 };
  const engine: Runtime = {
    ...runtime,
    async createSession(request) {
      const session = await runtime.createSession(request);
      counts.created++;
      counts.most = Math.max(counts.most, ++counts.open);
      return {
        ...session,
        async release() {
          counts.open--;
          await session.release();
        },
      };
    },
  };
  return { counts, engine };
}
