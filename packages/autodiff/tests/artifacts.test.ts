import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Graph, encodeModel, mT, matmul, mul, reduceMean } from '@musubi/onnx-graph';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { type TrainingArtifacts, artifactFiles, createTrainingGraphs } from '../src/index.ts';
import { loadTrainingArtifacts, writeTrainingArtifacts } from '../src/node.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'musubi-artifacts-'));
});
afterEach(() => rm(folder, { recursive: true }));

function smallArtifacts(): TrainingArtifacts {
  const forward = new Graph('small');
  const x = forward.input('x', 'float32', ['B', 4]);
  const up = forward.input('up', 'float32', [2, 4]);
  const frozen = forward.external('frozen', 'float32', [2, 2], { location: 'base.safetensors', offset: 8, length: 16 });
  const y = matmul(matmul(x, mT(up)), frozen);
  forward.output('loss', reduceMean(mul(y, y), [0, 1], false));
  const optimizer = new Graph('optimizer');
  optimizer.output('up', mul(optimizer.input('old', 'float32', [2, 4]), 0.5));
  return {
    ...createTrainingGraphs(forward, { loss: 'loss', trainable: ['up'] }),
    optimizer,
    checkpoint: {
      parameters: new Map([['up', { shape: [2, 4], data: Float32Array.from({ length: 8 }, Math.sqrt) }]]),
      optimizer: new Map([['exp_avg.up', { shape: [2, 4], data: new Float32Array(8).fill(0.25) }]]),
      optimizerNumbers: { step: 7 },
    },
    weightFiles: { 'base.safetensors': join(folder, 'models', 'base.safetensors') },
  };
}

test('what is written is what is loaded', async () => {
  const artifacts = smallArtifacts();
  await writeTrainingArtifacts(join(folder, 'run'), artifacts);
  const loaded = await loadTrainingArtifacts(join(folder, 'run'));

  for (const name of ['training', 'evaluation', 'optimizer'] as const) {
    expect(encodeModel(loaded[name])).toEqual(encodeModel(artifacts[name]));
  }
  expect(loaded.checkpoint).toEqual(artifacts.checkpoint);
  expect(loaded.weightFiles).toEqual(artifacts.weightFiles);
  expect(loaded.training.outputs.map((o) => o.name)).toEqual(['loss', 'grad/up']);
});

test('the folder has the names of on-device training and no weight of the base model', async () => {
  await writeTrainingArtifacts(folder, smallArtifacts());
  const state = JSON.parse(await readFile(join(folder, artifactFiles.state), 'utf8')) as Record<string, unknown>;

  expect(state['weightFiles']).toEqual({ 'base.safetensors': 'models/base.safetensors' });
  expect((await readFile(join(folder, 'training_model.onnx'))).length).toBeLessThan(10_000);
});

test('a folder that is not complete is refused with what it lacks', async () => {
  await writeTrainingArtifacts(folder, smallArtifacts());
  await rm(join(folder, artifactFiles.evaluation));
  await expect(loadTrainingArtifacts(folder)).rejects.toThrow(/eval_model\.onnx: cannot be read/);
  await rm(join(folder, artifactFiles.state));
  await expect(loadTrainingArtifacts(folder)).rejects.toMatchObject({ code: 'BAD_ARTIFACTS' });
});

test('another format is refused', async () => {
  await writeTrainingArtifacts(folder, smallArtifacts());
  await writeFile(join(folder, artifactFiles.state), '{"format": 2}');
  await expect(loadTrainingArtifacts(folder)).rejects.toThrow('has format 2, this version reads 1');
  await writeFile(join(folder, artifactFiles.state), 'not json');
  await expect(loadTrainingArtifacts(folder)).rejects.toThrow('is not the state of a training run');
});
