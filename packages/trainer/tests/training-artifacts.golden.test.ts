import type { HostTensor } from '@musubi/onnx-graph';

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { gradientName } from '@musubi/autodiff';
import { loadTrainingArtifacts, writeTrainingArtifacts } from '@musubi/autodiff/node';
import { loraParameters, readLora } from '@musubi/lora';
import { wan } from '@musubi/models';
import { createOptimizer } from '@musubi/optimizers';
import { adamwGraphNames as names } from '@musubi/optimizers/graph';
import { openSafetensorsFile } from '@musubi/safetensors/node';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { goldenPath } from '../../../tests/golden.ts';
import { casesOf, openCase } from '../../models/tests/wan-cases.ts';
import { createTrainingArtifacts, createTrainingModel } from '../src/index.ts';
import { locate, openModel, openSession, readBatch, recordedFeeds } from './training-case.ts';

const cases = casesOf('text to video').slice(0, 1);
const [steps, learningRate] = [3, 1e-3];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'musubi-artifacts-'));
});
afterAll(() => rm(folder, { recursive: true }));

test.each(cases)('$name: the artifacts in a folder train like the loop in TypeScript', async (wanCase) => {
  const golden = await openCase(wanCase);
  const model = await openModel(wanCase, wanCase.checkpoint);
  const adapterFile = await openSafetensorsFile(goldenPath('models', 'wan', wanCase.name, 'lora.safetensors'));
  const adapter = await readLora(adapterFile);
  const parameters = loraParameters(adapter);
  const optimizer = createOptimizer('AdamW', [{ name: 'unet', learningRate, parameters }], {});
  const graphs = createTrainingModel({
    architecture: wan,
    config: model.config,
    weights: model.source(locate),
    adapter,
  });
  const weightFiles = { [locate(wanCase.checkpoint)]: wanCase.checkpoint };
  await writeTrainingArtifacts(folder, createTrainingArtifacts({ graphs, adapter, optimizer, weightFiles }));

  const batch = await readBatch(golden, 'batch.');
  const [noise, t] = [await golden.readFloat32('noise'), await golden.readFloat32('batch.timesteps')];
  const session = await openSession(graphs.training, model.folder);
  const artifacts = await loadTrainingArtifacts(folder);
  const weights = dirname(Object.values(artifacts.weightFiles)[0] ?? '');
  const training = await openSession(artifacts.training, weights);
  const step = await openSession(artifacts.optimizer, weights);

  let state: Record<string, HostTensor> = {};
  for (const [name, { shape, data }] of [...artifacts.checkpoint.parameters, ...artifacts.checkpoint.optimizer]) {
    state[name] = { dtype: 'float32', shape, data };
  }
  for (let i = 1; i <= steps; i++) {
    const feeds = recordedFeeds(model, batch, noise, t, adapter);
    const expected = await session.run(feeds);
    const actual = await training.run({ ...feeds, ...state });
    expect(actual['loss']?.data).toBeAllClose(expected['loss']?.data as Float32Array, { rtol: 1e-6 });

    const gradients = new Map(parameters.map(({ name }) => [name, expected[gradientName(name)]?.data as Float32Array]));
    optimizer.step(gradients, [learningRate]);
    const next = await step.run({ ...actual, ...state, step: scalar(i), learning_rates: scalar(learningRate, [1]) });
    state = Object.fromEntries(
      Object.keys(state).map((name) => [name, next[names.updated(name)] ?? scalar(Number.NaN)]),
    );
  }
  // Adam divides by the root of the second moment: rounding of a gradient near zero becomes a share of the rate.
  for (const { name, data } of parameters) {
    expect(state[name]?.data, name).toBeAllClose(data, { atol: 0.01 * learningRate });
  }

  for (const s of [session, training, step]) await s.release();
  for (const file of [golden, model, adapterFile]) await file.close();
});

const scalar = (x: number, shape: readonly number[] = []): HostTensor => ({
  dtype: 'float32',
  shape,
  data: Float32Array.of(x),
});
