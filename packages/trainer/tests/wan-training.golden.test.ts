import type { LoraAdapter } from '@musubi/lora';
import type { HostTensor } from '@musubi/onnx-graph';
import type { TensorStore } from '@musubi/safetensors';

import { gradientName } from '@musubi/autodiff';
import { loraParameters, readLora } from '@musubi/lora';
import { injectLora, loraFeeds } from '@musubi/lora/graph';
import { wan } from '@musubi/models';
import { type AttentionPlan, Graph, createParams } from '@musubi/onnx-graph';
import { clipGradNorm, createOptimizer } from '@musubi/optimizers';
import { openSafetensorsFile } from '@musubi/safetensors/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { OpenModel } from './training-case.ts';

import { goldenPath, hasGolden, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { casesOf, largest, openCase, readModelCall } from '../../models/tests/wan-cases.ts';
import { createTrainingModel } from '../src/index.ts';
import { locate, openModel, openSession, readBatch, recordedFeeds } from './training-case.ts';

const cases = casesOf('text to video');

test('the repository has cases of both versions', () => {
  if (isDefaultGolden) expect(cases.length).toBeGreaterThanOrEqual(2);
});

describe.each(cases)('$name', (wanCase) => {
  let golden: TensorStore;
  let model: OpenModel;
  let adapter: LoraAdapter;
  let plain: Record<string, HostTensor>;

  const file = (name: string) => goldenPath('models', 'wan', wanCase.name, name);

  beforeAll(async () => {
    golden = await openCase(wanCase);
    model = await openModel(wanCase, wanCase.checkpoint);
    adapter = await readAdapter(file('lora.safetensors'));
    plain = await trainingOutputs(false);
  });
  afterAll(async () => {
    await golden.close();
    await model.close();
  });

  async function trainingOutputs(
    gradientCheckpointing: boolean,
    attention: AttentionPlan = 'whole',
    every = 1,
  ): Promise<Record<string, HostTensor>> {
    const { training } = trainingGraphs(model, adapter, gradientCheckpointing, attention, every);
    const session = await openSession(training, model.folder);
    const noise = await golden.readFloat32('noise');
    const t = await golden.readFloat32('batch.timesteps');
    const outputs = await session.run(recordedFeeds(model, await readBatch(golden, 'batch.'), noise, t, adapter));
    await session.release();
    return outputs;
  }

  test('predicts what the original predicts with the adapter', async () => {
    const base = new Graph('forward');
    base.output('prediction', wan.build(createParams(base, model.source(locate)), model.config).prediction);
    const session = await openSession(injectLora(base, [{ adapter }]), model.folder);
    const call = await readModelCall(golden);
    const outputs = await session.run({ ...wan.prepare(model.config, call), ...loraFeeds(adapter) });
    await session.release();

    const tokens = outputs['prediction'] ?? call.noisyLatents;
    const { data } = wan.fromOutputTokens(model.config, tokens, call.noisyLatents.shape);
    const expected = await golden.readFloat32('step.pred');
    expect(data).toBeAllClose(expected, { atol: 1e-5 * largest(expected) });
  });

  test('has the loss of the original', async () => {
    const [expected] = new Float64Array((await golden.read('step.loss')).slice().buffer);
    expect(plain['loss']?.data).toBeAllClose([expected ?? NaN], { rtol: 1e-6 });
  });

  test('has the loss of the original where the runtime computes attention', async () => {
    const { evaluation } = createTrainingModel({
      architecture: wan,
      config: model.config,
      weights: model.source(locate),
      adapter,
      fusedEvaluation: true,
    });
    const count = (op: string) => evaluation.nodes.filter((node) => node.op === op).length;
    expect({ softmax: count('Softmax'), fused: count('MultiHeadAttention') }).toEqual({
      softmax: 0,
      fused: 2 * model.config.layers,
    });
    const session = await openSession(evaluation, model.folder);
    const noise = await golden.readFloat32('noise');
    const t = await golden.readFloat32('batch.timesteps');
    const { loss } = await session.run(recordedFeeds(model, await readBatch(golden, 'batch.'), noise, t, adapter));
    await session.release();
    const [expected] = new Float64Array((await golden.read('step.loss')).slice().buffer);
    expect(loss?.data).toBeAllClose([expected ?? NaN], { rtol: 1e-6 });
  });

  test('has the gradients of the original', async () => {
    await expectGradients(plain);
  });

  // Of the 16 tokens or more of a case, some pieces are full, one is not, and the last are empty.
  test.each([false, true])('has them with attention in pieces, activation checkpointing %s', async (checkpointing) => {
    const outputs = await trainingOutputs(checkpointing, { chunks: 40, rows: 3 });
    expect(outputs['loss']?.data).toBeAllClose([Number(plain['loss']?.data[0])], { rtol: 1e-6 });
    await expectGradients(outputs);
  });

  async function expectGradients(outputs: Readonly<Record<string, HostTensor>>): Promise<void> {
    const parameters = loraParameters(adapter);
    const expected = new Map<string, Float32Array>();
    for (const { name } of parameters) expected.set(name, await golden.readFloat32(`grad.${name}`));
    const all = Math.max(...[...expected.values()].map(largest));

    expect([...golden.tensors.keys()].filter((key) => key.startsWith('grad.'))).toHaveLength(parameters.length);
    for (const [name, gradient] of expected) {
      const tolerance = 1e-4 * largest(gradient) + 2e-5 * all;
      expect(outputs[gradientName(name)]?.data, name).toBeAllClose(gradient, { atol: tolerance });
    }
  }

  test.each([1, 2, 3])('has bit for bit the same gradients with one block of %i recomputed', async (every) => {
    const checkpointed = await trainingOutputs(true, 'whole', every);
    expect(checkpointed['loss']?.data).toEqual(plain['loss']?.data);
    for (const { name } of loraParameters(adapter)) {
      expect(checkpointed[gradientName(name)]?.data, name).toEqual(plain[gradientName(name)]?.data);
    }
  });
});

interface Trajectory {
  readonly lr: number;
  readonly weight_decay: number;
  readonly betas: readonly number[];
  readonly eps: number;
  readonly max_grad_norm: number;
  readonly losses: readonly number[];
  readonly grad_norms_before_clipping: readonly number[];
  readonly with_clipping?: Pick<Trajectory, 'max_grad_norm' | 'losses' | 'grad_norms_before_clipping'>;
  readonly high_noise_model_used?: readonly boolean[];
}

const trajectories = cases.filter(({ name }) => hasGolden('models', 'wan', name, 'trajectory.json'));

describe.each(trajectories)('20 steps of $name', (wanCase) => {
  const trajectory = readGoldenJson<Trajectory>('models', 'wan', wanCase.name, 'trajectory.json');
  const file = (name: string) => goldenPath('models', 'wan', wanCase.name, name);
  const runs = [
    ['without clipping', trajectory],
    ...(trajectory.with_clipping ? [['with clipping', trajectory.with_clipping] as const] : []),
  ] as const;

  test.each(runs)('%s', async (_, run) => {
    const inputs = await openSafetensorsFile(file('trajectory_inputs.safetensors'));
    const adapter = await readAdapter(file('lora.safetensors'));
    const parameters = loraParameters(adapter);
    const groups = [{ name: 'unet', learningRate: trajectory.lr, parameters }];
    const { betas, eps, weight_decay } = trajectory;
    const optimizer = createOptimizer('AdamW', groups, { betas, eps, weight_decay });
    const isHigh = (step: number) => trajectory.high_noise_model_used?.[step] === true;
    const model = await openModel(wanCase, file('checkpoint.safetensors'));
    const sessions = new Map([[false, await openSession(trainingGraphs(model, adapter).training, model.folder)]]);
    if (trajectory.high_noise_model_used) {
      const high = await openModel(wanCase, file('checkpoint_high_noise.safetensors'));
      sessions.set(true, await openSession(trainingGraphs(high, adapter).training, high.folder));
      await high.close();
    }
    const batches = [await readBatch(inputs, 'batch.0.'), await readBatch(inputs, 'batch.1.')];

    const losses: number[] = [];
    const norms: number[] = [];
    for (let step = 0; step < run.losses.length; step++) {
      const noise = await inputs.readFloat32(`step.${step}.noise`);
      const t = await inputs.readFloat32(`step.${step}.timesteps`);
      const batch = batches[step % 2];
      const outputs = await sessions.get(isHigh(step))?.run(recordedFeeds(model, batch!, noise, t, adapter));
      const gradients = new Map(
        parameters.map(({ name }) => [name, outputs?.[gradientName(name)]?.data as Float32Array]),
      );
      losses.push(Number(outputs?.['loss']?.data[0]));
      norms.push(clipGradNorm(gradients, run.max_grad_norm));
      optimizer.step(gradients, [trajectory.lr]);
    }
    for (const session of sessions.values()) await session.release();
    await inputs.close();
    await model.close();

    expect(losses).toBeAllClose(run.losses, { rtol: 1e-5 });
    expect(norms).toBeAllClose(run.grad_norms_before_clipping, { rtol: 1e-5 });
  });
});

const trainingGraphs = (
  model: OpenModel,
  adapter: LoraAdapter,
  gradientCheckpointing = false,
  attention: AttentionPlan = 'whole',
  gradientCheckpointingEvery = 1,
) =>
  createTrainingModel({
    architecture: wan,
    config: model.config,
    weights: model.source(locate),
    adapter,
    gradientCheckpointing,
    gradientCheckpointingEvery,
    attention,
  });

async function readAdapter(path: string): Promise<LoraAdapter> {
  const store = await openSafetensorsFile(path);
  try {
    return await readLora(store);
  } finally {
    await store.close();
  }
}
