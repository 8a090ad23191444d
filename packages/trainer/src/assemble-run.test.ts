import type { LoraModule } from '@musubi/lora';
import type { WanConfig } from '@musubi/models';
import type { RunParts } from './assemble-run.ts';

import { createLora } from '@musubi/lora';
import { wan } from '@musubi/models';
import { PythonRandom, TorchGenerator } from '@musubi/random';
import { createBucketedUniform } from '@musubi/samplers';
import { describe, expect, test } from 'vitest';

import { fakeBatch, fakeRun } from '../tests/fake-run.ts';
import { makeConfig } from '../tests/make-config.ts';
import { assembleRun } from './assemble-run.ts';

const model: WanConfig = {
  width: 32,
  ffnWidth: 16,
  heads: 2,
  layers: 2,
  channels: 2,
  textWidth: 3,
  textLength: 4,
  timeWidth: 8,
  eps: 1e-6,
};
const seed = 11;
/** Shapes of the weights; no file is read to assemble a run. */
const stored = new Map(wan.parameters(model).map(({ name, shape }) => [name, shape]));

const names = (list: readonly { readonly name: string }[]) => list.map(({ name }) => name);
/** As the model sees a uniform number. */
const modelTime = (u: number): number => Math.fround(Math.fround(1000 * Math.fround(u)) + 1);
const bytes = (shape: readonly number[], dtype: 'F32' | 'BF16') =>
  (dtype === 'F32' ? 4 : 2) * shape.reduce((a, b) => a * b, 1);

function weightOf(shape: readonly number[] | undefined, dtype: 'F32' | 'BF16', location: string) {
  const type = dtype === 'F32' ? 'float32' : 'bfloat16';
  return shape && ({ dtype: type, shape, external: { location, offset: 0, length: bytes(shape, dtype) } } as const);
}

async function assemble(options = '', parts: Partial<RunParts<WanConfig>> = {}, dtype: 'F32' | 'BF16' = 'F32') {
  const config = await makeConfig(`--network_dim 2 ${options}`);
  const infos = Array.from(stored, ([name, shape]) => {
    return [name, { name, dtype, shape, source: 'dit', offset: 0, byteLength: bytes(shape, dtype) }] as const;
  });
  return assembleRun({
    config,
    seed,
    architecture: wan,
    model: { config: model, weights: new Map(infos) },
    weights: (name) => weightOf(stored.get(name), dtype, 'dit'),
    data: fakeRun({ batchesPerEpoch: 5 }).run.data,
    pythonRandom: new PythonRandom(seed),
    networkWeights: null,
    frozen: [],
    ...parts,
  });
}

const start = (run: Awaited<ReturnType<typeof assemble>>) => run.start(async () => ({}), {});
const latents = (dtype: 'F32' | 'BF16' = 'F32') =>
  fakeBatch('a', {
    stacked: new Map([['latents', { dtype, shape: [1, 2, 1, 2, 2], data: new Float32Array(8) }]]),
    lists: new Map([['t5', [{ dtype: 'F32', shape: [1, 3], data: new Float32Array(3) }]]]),
  });

/** What the original draws while it makes its model: modulations of the blocks and of the head. */
function constructed(generator = new TorchGenerator(seed)): TorchGenerator {
  for (let i = 0; i < model.layers; i++) generator.randn(6 * model.width);
  generator.randn(2 * model.width);
  return generator;
}

describe('random numbers', () => {
  test('are drawn for the model, then for the modules in their order, and go on into the loop', async () => {
    const run = await assemble();
    const generator = constructed();
    const sizes = new Map(wan.lora.modules(model).map((m) => [`lora_unet_${m.path.replaceAll('.', '_')}`, m]));
    const modules = run.adapter.modules.map(({ name }) => sizes.get(name)!);
    const expected = createLora({ modules, rank: 2, generator });

    const parts = ['self', 'cross'].flatMap((kind) => ['q', 'k', 'v', 'o'].map((part) => `${kind}_attn.${part}`));
    expect(modules.map(({ path }) => path)).toEqual(
      [0, 1].flatMap((i) => [...parts, 'ffn.0', 'ffn.2'].map((part) => `blocks.${i}.${part}`)),
    );
    expect(run.adapter).toEqual(expected);
    expect(start(run).generator.state()).toEqual(generator.state());
  });

  test('are drawn for an adapter from a file, too', async () => {
    const { adapter } = await assemble();
    const modules = adapter.modules as readonly LoraModule[];
    const saved = { modules: modules.map((m) => ({ ...m, down: m.down.map((x) => -x), up: m.up.fill(1) })) };
    const run = await assemble('', { networkWeights: saved });
    expect(run.adapter).toEqual(saved);
    expect(start(run).generator.state()).toEqual(start(await assemble()).generator.state());
  });

  test('depend on the ranks of that file with dim_from_weights', async () => {
    const { adapter } = await assemble('--network_dim 3 --network_alpha 5');
    const saved = { modules: adapter.modules.slice(0, 4) };
    const options = '--dim_from_weights --network_weights saved.safetensors';
    const run = await assemble(options, { networkWeights: saved });

    expect(run.adapter.modules.map(({ rank, alpha }) => [rank, alpha])).toEqual(saved.modules.map(() => [3, 5]));
    const generator = constructed();
    createLora({ modules: modulesOf(saved), rank: 3, generator });
    expect(start(run).generator.state()).toEqual(generator.state());
  });

  test("are Python's where num_timestep_buckets and preserve_distribution_shape meet", async () => {
    const options = '--num_timestep_buckets 4 --preserve_distribution_shape --timestep_sampling uniform';
    const loop = start(await assemble(options));
    const words = loop.generator.wordsDrawn;
    const next = createBucketedUniform(4, new PythonRandom(seed));
    for (let i = 0; i < 5; i++) {
      const [timestep] = loop.prepare(latents(), loop.generator).timesteps;
      expect(timestep).toBe(Math.fround(Math.fround(1000 * Math.fround(next())) + 1));
    }
    // Below 16 values a normal number takes two words: nothing but noise came from PyTorch's generator.
    expect(loop.generator.wordsDrawn - words).toBe(5 * 8 * 2);
  });
});

describe('of two models', () => {
  const boundary = 0.5;
  const assembleTwo = (options = '') =>
    assemble(`--timestep_sampling uniform ${options}`, {
      highNoise: { weights: (name) => weightOf(stored.get(name), 'F32', 'high'), timestepBoundary: boundary },
    });

  test('random numbers are drawn for both, and then for one adapter', async () => {
    const generator = constructed();
    constructed(generator);
    const run = await assembleTwo();
    const modules = modulesOf({ modules: run.adapter.modules as readonly LoraModule[] });
    expect(run.adapter).toEqual(createLora({ modules, rank: 2, generator }));
    expect(start(run).generator.state()).toEqual(generator.state());
  });

  test.each([0, 4])('the first timestep decides for the batch, with %d buckets', async (buckets) => {
    const loop = start(await assembleTwo(buckets === 0 ? '' : `--num_timestep_buckets ${buckets}`));
    const generator = TorchGenerator.fromState(loop.generator.state());
    const next = createBucketedUniform(buckets, new PythonRandom(seed));
    const one = latents();
    const text = one.lists.get('t5')![0]!;
    const batch = {
      ...one,
      items: [...one.items, ...fakeBatch('b').items],
      stacked: new Map([['latents', { dtype: 'F32' as const, shape: [2, 2, 1, 2, 2], data: new Float32Array(16) }]]),
      lists: new Map([['t5', [text, text]]]),
    };
    const sides = new Set<boolean>();
    for (let i = 0; i < 20; i++) {
      generator.randn(16);
      const isHighNoise = modelTime(generator.rand(1)[0]!) / 1000 >= boundary;
      const expected = [0, 1].map(() => {
        for (;;) {
          const timestep = modelTime(buckets === 0 ? generator.rand(1)[0]! : next());
          if (timestep / 1000 >= boundary === isHighNoise) return timestep;
        }
      });
      const drawn = loop.prepare(batch, loop.generator);
      expect([...drawn.timesteps]).toEqual(expected);
      expect(drawn.isHighNoise).toBe(isHighNoise);
      sides.add(isHighNoise);
    }
    expect(sides.size).toBe(2);
    expect(loop.generator.state()).toEqual(generator.state());
  });

  test('the graphs differ in where their weights lie', async () => {
    const { graphs, highNoiseGraphs } = await assembleTwo();
    const [low, high] = [graphs.training, highNoiseGraphs!.training];
    expect([names(high.inputs), names(high.outputs)]).toEqual([names(low.inputs), names(low.outputs)]);
    const locations = ({ initializers }: typeof low) =>
      new Set(initializers.flatMap(({ external }) => external?.location ?? []));
    expect([locations(low), locations(high)]).toEqual([new Set(['dit']), new Set(['high'])]);
    expect((await assemble()).highNoiseGraphs).toBeNull();
  });
});

describe('the type of the base model', () => {
  test('rounds the noise levels of sigma sampling', async () => {
    const options = '--timestep_sampling sigma';
    const [wide, narrow] = [start(await assemble(options)), start(await assemble(options, {}, 'BF16'))];
    const target = (loop: typeof wide) => loop.prepare(latents(), loop.generator);
    const [exact, rounded] = [target(wide), target(narrow)];
    expect(rounded.timesteps).toEqual(exact.timesteps);
    expect(rounded.feeds['target']).toEqual(exact.feeds['target']);
    expect(rounded.feeds['tokens']).not.toEqual(exact.feeds['tokens']);
    const data = (one: typeof exact) => Array.from(one.feeds['tokens']?.data ?? [], Number);
    expect(data(rounded)).toBeAllClose(data(exact), { rtol: 2 ** -8 });
  });
});

describe('the loop gets', () => {
  test('the counts, clipping and schedule of the configuration', async () => {
    const steps = '--max_train_epochs 2 --gradient_accumulation_steps 2';
    const run = await assemble(`${steps} --max_grad_norm 0.5 --learning_rate 1 --lr_scheduler linear`);
    const loop = start(run);
    expect(loop.plan).toEqual({ maxTrainSteps: 6, stepsPerEpoch: 3, numEpochs: 2 });
    expect([loop.gradientAccumulationSteps, loop.maxGradNorm]).toEqual([2, 0.5]);
    expect([0, 3, 6].map(loop.learningRates)).toEqual([[1], [0.5], [0]]);
    expect(loop.parameters.map(({ name }) => name)).toEqual(
      run.adapter.modules.flatMap(({ name }) => [`${name}.lora_down.weight`, `${name}.lora_up.weight`]),
    );
  });

  test('the weights that the optimizer moves and the graph reads', async () => {
    const { adapter, optimizer, ...run } = await assemble('--optimizer_type SGD --learning_rate 1');
    const { parameters } = run.start(async () => ({}), {});
    optimizer.step(new Map(parameters.map(({ name, data }) => [name, data.map(() => -1)])), [1]);
    const modules = adapter.modules as readonly LoraModule[];
    expect(modules.every(({ up }) => up.every((x) => x === 1))).toBe(true);
    expect(parameters[1]?.data).toBe(modules[0]?.up);
  });

  test('a graph whose inputs are the feeds and the weights, and whose outputs are loss and gradients', async () => {
    const run = await assemble();
    const loop = start(run);
    const weights = names(loop.parameters);
    const { feeds } = loop.prepare(latents(), loop.generator);
    expect(run.graphs.training.inputs.map(({ name }) => name).toSorted()).toEqual(
      [...Object.keys(feeds), ...weights].toSorted(),
    );
    expect(run.graphs.training.outputs.map(({ name }) => name).toSorted()).toEqual(
      ['loss', ...weights.map((name) => `grad/${name}`)].toSorted(),
    );
  });
});

test('modules that network_weights lacks are told', async () => {
  const { adapter } = await assemble();
  const run = await assemble('', { networkWeights: { modules: adapter.modules.slice(2) } });
  expect(run.notLoaded).toEqual(adapter.modules.slice(0, 2).map(({ name }) => name));
});

const modulesOf = ({ modules }: { modules: readonly { name: string; inFeatures: number; outFeatures: number }[] }) =>
  modules.map(({ name, inFeatures, outFeatures }) => ({
    path: name.replace('lora_unet_', ''),
    inFeatures,
    outFeatures,
  }));
