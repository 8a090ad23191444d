import { readdirSync, readFileSync } from 'node:fs';
import { openSafetensorsFile } from '@musubi/safetensors/node';
import { beforeAll, describe, expect, test } from 'vitest';

import { goldenPath, hasGolden, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { PythonRandom, TorchGenerator } from '../src/index.ts';

// A whole training run of the original on a CPU: every number that it drew follows from the seed.

interface Run {
  seed: number;
  dataset_seed: number;
  torch_words_total: number;
  draws_before_training: {
    phase: string;
    op: string;
    shape: number[];
    words: number;
    bounds?: [number, number];
  }[];
  epochs: { epoch: number; loader_seed: string; permutation_seed: string; permutation: number[] }[];
  micro_steps: {
    micro_step: number;
    epoch: number;
    latents_shape: number[];
    noise_dtype: 'bfloat16' | 'float32';
    timesteps: number[];
    words_before: number;
    words_noise: number;
    words_timesteps: number;
  }[];
}

const names = hasGolden('runs')
  ? readdirSync(goldenPath('runs')).filter((name) => hasGolden('runs', name, 'run.json'))
  : [];

test('there is a run to compare with', () => {
  if (isDefaultGolden) expect(names.length).toBeGreaterThan(0);
});

describe.each(names)('run %s', (name) => {
  const run = readGoldenJson<Run>('runs', name, 'run.json');
  let noise = new Map<string, Float32Array>();
  let initial = new Map<string, Float32Array>();
  beforeAll(async () => {
    noise = await readFloat32Tensors(goldenPath('runs', name, 'noise.safetensors'));
    initial = await readFloat32Tensors(goldenPath('runs', name, 'initial_lora.safetensors'));
  });
  const isUniform = /^timestep_sampling\s*=\s*"uniform"/m.test(
    readFileSync(goldenPath('runs', name, 'config.toml'), 'utf8'),
  );

  test('has the dataset seed that Python draws first', () => {
    expect(new PythonRandom(run.seed).randint(0, 2 ** 31)).toBe(run.dataset_seed);
  });

  const generator = new TorchGenerator(run.seed);
  const drawn = run.draws_before_training.map(({ op, shape, bounds }) => {
    const before = generator.wordsDrawn;
    const values = op === 'randn' ? generator.randn(size(shape)) : generator.uniform(size(shape), ...bounds!);
    return { values, words: generator.wordsDrawn - before };
  });

  test('draws as many words before training', () => {
    expect(drawn.map(({ words }) => words)).toEqual(run.draws_before_training.map(({ words }) => words));
  });

  test('initialises every lora_down bit for bit', () => {
    const own = new Set(drawn.map(({ values }) => values.join()));
    const downs = [...initial].filter(([key]) => key.endsWith('.lora_down.weight'));
    expect(downs.length).toBeGreaterThan(0);
    expect(downs.filter(([, values]) => !own.has(values.join())).map(([key]) => key)).toEqual([]);
  });

  const epochs: unknown[] = [];
  const steps = run.micro_steps.map((step) => {
    while (epochs.length < step.epoch) {
      const loaderSeed = generator.randomInt63();
      const permutationSeed = generator.randomInt63();
      const count = run.epochs[epochs.length]!.permutation.length;
      epochs.push({
        epoch: epochs.length + 1,
        loader_seed: String(loaderSeed),
        permutation_seed: String(permutationSeed),
        permutation: new TorchGenerator(permutationSeed).randperm(count),
      });
    }
    const words = [generator.wordsDrawn];
    const z = generator.randn(size(step.latents_shape), step.noise_dtype);
    words.push(generator.wordsDrawn - words[0]!);
    // Resuming from a saved state must not change anything, least of all the kept normal.
    const resumed = TorchGenerator.fromState(JSON.parse(JSON.stringify(generator.state())));
    const count = step.timesteps.length;
    const base = isUniform ? generator.rand(count) : generator.randn(count);
    const again = isUniform ? resumed.rand(count) : resumed.randn(count);
    words.push(generator.wordsDrawn - words[0]! - words[1]!);
    return { step, words, z, base, again };
  });

  test('seeds the loader and permutes the batches of every epoch', () => {
    const used = run.epochs.slice(0, epochs.length);
    expect(epochs).toMatchObject(
      used.map(({ loader_seed, permutation_seed, permutation, epoch }) => ({
        epoch,
        loader_seed,
        permutation_seed,
        permutation,
      })),
    );
  });

  test('draws as many words as the original altogether', () => {
    expect(generator.wordsDrawn).toBe(run.torch_words_total);
  });

  test.each(steps)('draws the noise of micro-step $step.micro_step', ({ step, words, z, base, again }) => {
    expect(words).toEqual([step.words_before, step.words_noise, step.words_timesteps]);
    const expected = noise.get(`noise.${step.micro_step}`)!;
    if (step.noise_dtype === 'bfloat16') {
      expect(z.length).toBe(expected.length);
      expect(z.findIndex((value, i) => !Object.is(value, expected[i]))).toBe(-1);
    } else expect(z).toBeAllClose(expected, { atol: 1e-6 });
    expect(again).toEqual(base);
  });
});

async function readFloat32Tensors(path: string): Promise<Map<string, Float32Array>> {
  const store = await openSafetensorsFile(path);
  const tensors = new Map<string, Float32Array>();
  for (const name of store.tensors.keys()) tensors.set(name, await store.readFloat32(name));
  await store.close();
  return tensors;
}

function size(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1);
}
