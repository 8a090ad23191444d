import type { HostTensor } from '@musubi/onnx-graph';
import type { Runtime } from '@musubi/runtime';

import { gradientName } from '@musubi/autodiff';
import { loraName, loraParameters } from '@musubi/lora';
import { wan } from '@musubi/models';
import { TorchGenerator } from '@musubi/random';
import { createNodeRuntime } from '@musubi/runtime/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { createTrainingModel } from '../src/index.ts';
import { type Call, recording } from './recording-runtime.ts';
import { type FinishedRun, type RunFolder, openRunFolder, readAdapter, readStore, wanRuns } from './run-folder.ts';
import { type OpenModel, locate, openModel, openSession } from './training-case.ts';

interface RecordedRun {
  readonly seed: number;
  readonly draws_before_training: readonly {
    readonly phase: string;
    readonly op: string;
    readonly shape: readonly number[];
  }[];
  readonly epochs: readonly { readonly permutation: readonly number[] }[];
  readonly micro_steps: readonly {
    readonly items: readonly string[];
    readonly dataset: number;
    readonly latents_shape: readonly number[];
    readonly latents_dtype: 'bfloat16' | 'float32';
    readonly completes_step: number | null;
  }[];
  readonly steps: readonly { readonly lr: readonly number[]; readonly lr_after: readonly number[] }[];
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

const flowShift = 3;
const selections: { readonly args: readonly string[]; readonly keeps: (path: string) => boolean }[] = [
  { args: ["exclude_patterns=[r'.*ffn.*']"], keeps: (path) => !path.includes('ffn') },
  {
    args: ["exclude_patterns=[r'.*']", "include_patterns=[r'.*_attn\\.[qv]']"],
    keeps: (path) => /_attn\.[qv]$/.test(path),
  },
  { args: ["exclude_patterns=[r'blocks\\.0\\..*']"], keeps: (path) => !path.startsWith('blocks.0.') },
];

test('there is a run', () => {
  if (isDefaultGolden) expect(wanRuns).not.toEqual([]);
});

describe.each(wanRuns.slice(0, 1))('runs like %s', (name) => {
  const recorded = readGoldenJson<RecordedRun>('runs', name, 'run.json');
  const firstEpoch = recorded.epochs[0]!.permutation;
  const batchesPerStep = recorded.micro_steps.findIndex((batch) => batch.completes_step !== null) + 1;
  let folder: RunFolder;
  let runtime: Runtime;
  let model: OpenModel;
  /** All modules that the original trains by default, in its order. */
  let paths: string[];

  beforeAll(async () => {
    [folder, runtime] = [await openRunFolder(name), await createNodeRuntime()];
    const { task, ...configuration } = readGoldenJson<{ task: string }>('runs', name, 'model.json');
    model = await openModel(
      { task, configuration } as Parameters<typeof openModel>[0],
      `${folder.path}/dit.safetensors`,
    );
    const initial = await readAdapter('initial_lora.safetensors');
    const initialNames = new Set(initial.modules.map((module) => module.name));
    paths = wan.lora.modules(model.config).flatMap(({ path }) => (initialNames.has(loraName(path)) ? [path] : []));
    expect(paths).toHaveLength(initialNames.size);
  });
  afterAll(async () => {
    await model.close();
    await runtime.close();
    await folder.close();
  });

  describe.each(selections)('and $args', ({ args, keeps }) => {
    const calls: Call[] = [];
    let finished: FinishedRun;
    let kept: string[];
    beforeAll(async () => {
      kept = paths.filter(keeps).map((path) => loraName(path));
      expect(kept.length).toBeGreaterThan(0);
      expect(kept.length).toBeLessThan(paths.length);
      finished = await folder.run(['--network_args', ...args], { runtime: recording(runtime, calls) });
    });

    test('train the modules that the patterns leave', async () => {
      const saved = await readAdapter(finished.outcome.path!);
      expect(saved.modules.map((module) => module.name).toSorted()).toEqual(kept.toSorted());
    });

    test('have the batches and timesteps that come once only these modules are initialised', () => {
      const generator = afterInitialisation(recorded, paths.map(keeps));
      // A data loader draws the seed of its workers, then that of the permutation.
      generator.randomInt63();
      const permutation = new TorchGenerator(generator.randomInt63()).randperm(firstEpoch.length);
      expect(permutation).not.toEqual(firstEpoch);
      permutation.forEach((index, i) => {
        const batch = recorded.micro_steps[firstEpoch.indexOf(index)]!;
        const { datasetIndex, items, timesteps } = finished.steps[i]!;
        expect({ dataset: datasetIndex, items }).toEqual({ dataset: batch.dataset, items: batch.items });
        generator.randn(sizeOf(batch.latents_shape), batch.latents_dtype);
        const expected = generator.randn(items.length).map((normal) => {
          const s = 1 / (1 + Math.exp(-normal));
          return (1000 * flowShift * s) / (1 + (flowShift - 1) * s) + 1;
        });
        expect(timesteps).toBeAllClose(expected, { rtol: 1e-6 });
      });
    });

    test('have the first losses of the base model, and the gradients of all modules at those that are left', async () => {
      // Every lora_up is zero before the first step.
      const adapter = await readAdapter('initial_lora.safetensors');
      const left = adapter.modules.map((module) => ({
        ...module,
        down: downOf(calls[0]!, module.name) ?? module.down,
      }));
      const all = createTrainingModel({
        architecture: wan,
        config: model.config,
        weights: model.source(locate),
        adapter: { modules: left },
      });
      const session = await openSession(all.training, model.folder);
      const sums = new Map<string, Float32Array>();
      const losses: number[] = [];
      for (const { feeds } of calls.slice(0, batchesPerStep)) {
        const weights = Object.fromEntries(
          loraParameters({ modules: left }).map(({ name: key, ...tensor }): [string, HostTensor] => [
            key,
            { dtype: 'float32', ...tensor },
          ]),
        );
        const outputs = await session.run({ ...feeds, ...weights });
        losses.push(Number(outputs['loss']!.data[0]));
        for (const key of kept.flatMap((module) =>
          ['lora_down', 'lora_up'].map((part) => `${module}.${part}.weight`),
        )) {
          const gradient = outputs[gradientName(key)]!.data as Float32Array;
          sums.set(
            key,
            gradient.map((x, i) => (sums.get(key)?.[i] ?? 0) + x / batchesPerStep),
          );
        }
      }
      await session.release();
      expect(finished.losses.slice(0, batchesPerStep)).toBeAllClose(losses, { rtol: 1e-5 });
      const norm = Math.hypot(...Array.from(sums.values(), (gradient) => Math.hypot(...gradient)));
      expect(finished.steps[batchesPerStep - 1]!.gradientNorm!).toBeAllClose(norm, { rtol: 1e-5 });
    });

    test('have the learning rates of the original', async () => {
      const completed = finished.steps.filter((step) => step.completesStep);
      expect(completed.flatMap((step) => step.stepLearningRates)).toBeAllClose(
        recorded.steps.flatMap((step) => step.lr),
        { rtol: 1e-6 },
      );
      expect(completed.flatMap((step) => step.learningRates)).toBeAllClose(
        recorded.steps.flatMap((step) => step.lr_after),
        { rtol: 1e-6 },
      );
      const metadata = await readStore(finished.outcome.path!, (store) => store.metadata);
      expect(metadata['ss_network_args']).toContain('patterns');
    });
  });
});

/** The original's generator after it has made its model and the modules that are kept: each module draws the same number of times. */
function afterInitialisation({ seed, draws_before_training: draws }: RecordedRun, isKept: readonly boolean[]) {
  const generator = new TorchGenerator(seed);
  for (const { shape } of draws.filter(({ op }) => op === 'randn')) generator.randn(sizeOf(shape));
  const initialising = draws.filter(({ op }) => op === 'uniform');
  const drawsPerModule = initialising.length / isKept.length;
  initialising.forEach(({ shape }, i) => {
    if (isKept[Math.floor(i / drawsPerModule)]) generator.skip(sizeOf(shape));
  });
  return generator;
}

/** What a run fed as a module's lora_down, if it has the module. */
function downOf({ feeds }: Call, module: string): Float32Array | undefined {
  return feeds[`${module}.lora_down.weight`]?.data as Float32Array | undefined;
}
