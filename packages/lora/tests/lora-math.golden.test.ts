import { TorchGenerator } from '@musubi/random';
import { encodeSafetensors } from '@musubi/safetensors';
import { Graph, add, createParams, linear, mul, reduceSum } from '@musubi/onnx-graph';
import type { Value } from '@musubi/onnx-graph';
import { describe, expect, test } from 'vitest';
import { readGoldenJson } from '../../../tests/golden.ts';
import { vjp } from '../../autodiff/src/index.ts';
import { interpret, tensor } from '../../onnx-graph/tests/interpreter/index.ts';
import { injectLora, loraFeeds, planDropout } from '../src/graph.ts';
import {
  createAdapter,
  createLora,
  factorize,
  factorsOf,
  limitWeightNorms,
  loraFile,
  loraGroups,
  loraName,
  savePrecision,
} from '../src/index.ts';
import type { AdapterModule, DropoutOptions, LoraModule, ProductModule, UniformSource } from '../src/index.ts';

interface Golden {
  settings: { tolerance: { abs: number; rel: number; bf16_base_abs: number } };
  init: {
    loha_linear_64_48_rank8: { tensor: string; shape: [number, number]; mean: number; std: number }[];
    'lokr_linear_64_48_rank2_factor-1': {
      tensor: string;
      shape: [number, number];
      std: number;
      bound_1_over_sqrt_fan_in: number;
    }[];
    lora: {
      module: string;
      rank: number;
      fan_in: number;
      bound: number;
      observed_min: number;
      observed_max: number;
      expected_std: number;
      down_shape: number[];
      up_shape: number[];
    }[];
  };
  lora_forward: {
    id: string;
    args: {
      alpha: number | null;
      rank: number;
      multiplier: number;
      rank_dropout: number | null;
      module_dropout: number | null;
      training: boolean;
      module: string;
      base_dtype: string;
    };
    input: {
      x: Nested;
      weight: Nested;
      bias: Nested;
      lora_down: Nested;
      lora_up: Nested;
      rand: Nested | null;
      grad_y: Nested;
    };
    output: { scale: number; y: Nested; grad_down: Nested | null; grad_up: Nested | null };
  }[];
  loha: ProductCase[];
  lokr: ProductCase[];
  lokr_factorization: { dimension: number; factor: number; output: [number, number] }[];
  loraplus: {
    args: { network?: 'loha' | 'lokr'; loraplus_lr_ratio: number | null; learning_rate: number };
    output: { groups: { lr: number; params?: string[]; count?: number }[]; descriptions: string[] };
  }[];
  scale_weight_norms: {
    args: { scale_weight_norms: number };
    input: Record<string, number | number[][]>;
    output: { keys_scaled: number; mean_norm: number; max_norm: number; after: Record<string, number | number[][]> };
  }[];
  saved_file: {
    input: Record<string, number | Nested>;
    args: { save_precision: string; metadata: Record<string, string> };
    output: { metadata: Record<string, string>; file_base64: string };
  };
}
type Nested = number[] | Nested[];

interface ProductCase {
  id: string;
  args: { in: number; out: number; rank: number; alpha: number; factor?: number; multiplier: number };
  input: Record<string, Nested>;
  output: Record<string, unknown> & { y: Nested; saved_alpha: number; scale?: number };
}

const golden = readGoldenJson<Golden>('maths', 'lora_math.json');

const linearInits = golden.init.lora.filter(({ module }) => module.startsWith('Linear'));

test.each(linearInits)('init of $module', ({ rank, fan_in, bound, expected_std, down_shape, up_shape }) => {
  const path = 'blocks.0.q';
  const generator = new TorchGenerator(1);
  const modules = [{ path, inFeatures: fan_in, outFeatures: up_shape[0]! }];
  // Many draws, so that the observed extremes lie near the bounds.
  const values = Array.from({ length: 30 }, () => createLora({ modules, rank, generator }).modules[0]!).flatMap(
    ({ down, up, ...module }) => {
      expect([module.rank, module.inFeatures]).toEqual(down_shape);
      expect([module.outFeatures, module.rank]).toEqual(up_shape);
      expect(up.every((value) => value === 0)).toBe(true);
      return [...down];
    },
  );
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  expect(largest).toBeLessThanOrEqual(Math.fround(bound));
  expect(largest).toBeGreaterThan(bound * 0.999);
  const variance = values.reduce((sum, value) => sum + value * value, 0) / values.length;
  expect(Math.sqrt(variance)).toBeAllClose(expected_std, { rtol: 0.01 });
});

// Adapters of convolutions are merged, not trained.
const linearCases = golden.lora_forward.filter(({ args }) => args.module === 'Linear');

describe('forward and gradients', () => {
  test('has cases', () => expect(linearCases.length).toBeGreaterThan(0));

  test.each(linearCases)('$id', ({ args, input, output }) => {
    const [outFeatures, inFeatures] = shapeOf(input.weight) as [number, number];
    const module: LoraModule = {
      name: loraName('layer'),
      rank: args.rank,
      alpha: args.alpha === 0 || args.alpha === null ? args.rank : args.alpha,
      inFeatures,
      outFeatures,
      down: Float32Array.from(flat(input.lora_down)),
      up: Float32Array.from(flat(input.lora_up)),
    };
    expect(module.alpha / module.rank).toBeAllClose(output.scale, { rtol: 1e-12 });
    const dropout = args.training ? { rank: args.rank_dropout, module: args.module_dropout } : {};
    const numbers = input.rand === null ? [] : flat(input.rand);
    const rand = (count: number) => Float32Array.from(numbers.splice(0, count));
    const found = runLayer(module, input, args.multiplier, dropout, { rand });
    expect(numbers).toEqual([]);

    const { abs, rel, bf16_base_abs } = golden.settings.tolerance;
    const tolerance = args.base_dtype === 'float32' ? { atol: abs, rtol: rel } : { atol: bf16_base_abs };
    expect(found.y).toBeAllClose(flat(output.y), tolerance);
    if (args.base_dtype !== 'float32') return; // gradients of a rounded base are rounded too
    const [down, up] = found.gradients;
    // A module that is left out has no gradients there, and zeros here.
    expect(down).toBeAllClose(output.grad_down ? flat(output.grad_down) : down!.map(() => 0), tolerance);
    expect(up).toBeAllClose(output.grad_up ? flat(output.grad_up) : up!.map(() => 0), tolerance);
  });
});

const products = [...golden.loha.map((c) => ['loha', c] as const), ...golden.lokr.map((c) => ['lokr', c] as const)];

describe.each(products)('%s $id', (kind, { args, input, output }) => {
  const generator = new TorchGenerator(3);
  const options = {
    kind,
    modules: [{ path: 'layer', inFeatures: args.in, outFeatures: args.out }],
    rank: args.rank,
    alpha: args.alpha,
    factor: args.factor ?? -1,
    generator,
  };

  test('has the factors, scale and alpha of the original', () => {
    const [module] = createAdapter(options).modules;
    const shapes = factorsOf(module!).map(({ part, shape }) => [part, [...shape]]);
    expect(shapes).toEqual(shapes.map(([part]) => [part, shapeOf(input[part as string]!)]));
    expect(module!.alpha).toBe(output.saved_alpha);
    if (output.scale !== undefined) expect(module!.alpha / module!.rank).toBe(output.scale);
  });

  test('has its forward and gradients', () => {
    const [fresh] = createAdapter(options).modules;
    const factors = factorsOf(fresh!).map(({ part, shape }) => ({
      part,
      shape,
      data: Float32Array.from(flat(input[part]!)),
    }));
    const found = runLayer({ ...fresh!, factors } as ProductModule, input, args.multiplier);
    const { abs, rel } = golden.settings.tolerance;
    expect(found.y).toBeAllClose(flat(output.y), { atol: abs, rtol: rel });
    factors.forEach(({ part }, i) => {
      expect(found.gradients[i]).toBeAllClose(flat(output[`grad_${part}`] as Nested), { atol: abs, rtol: rel });
    });
  });
});

test.each([
  ['loha', golden.init.loha_linear_64_48_rank8.map((t) => ({ ...t, bound: null }))],
  ['lokr', golden.init['lokr_linear_64_48_rank2_factor-1'].map((t) => ({ ...t, bound: t.bound_1_over_sqrt_fan_in }))],
] as const)('init of %s', (kind, tensors) => {
  const modules = [{ path: 'layer', inFeatures: 64, outFeatures: 48 }];
  const rank = kind === 'loha' ? 8 : 2;
  const generator = new TorchGenerator(5);
  const many = Array.from({ length: 200 }, () =>
    factorsOf(createAdapter({ kind, modules, rank, generator }).modules[0]!),
  );
  tensors.forEach(({ tensor: part, shape, std, bound }, i) => {
    const drawn = many.map((factors) => factors[i]!);
    expect([drawn[0]!.part, [...drawn[0]!.shape]]).toEqual([part, shape]);
    const values = drawn.flatMap(({ data }) => [...data]);
    const found = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
    // The reference's deviation is that of some hundred to a few thousand values.
    expect(found).toBeAllClose(std, { rtol: 0.05 });
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    if (bound !== null && std > 0) expect(largest).toBeLessThanOrEqual(Math.fround(bound));
    if (bound !== null && std > 0) expect(largest).toBeGreaterThan(0.99 * bound);
  });
});

test.each(golden.lokr_factorization)('factors of $dimension by $factor', ({ dimension, factor, output }) => {
  expect(factorize(dimension, factor)).toEqual(output);
});

test.each(golden.loraplus)('groups of $args', ({ args, output }) => {
  const modules = [0, 1].flatMap((block) =>
    ['q', 'mlp'].map((part) => ({ path: `blocks.${block}.${part}`, inFeatures: 64, outFeatures: 48 })),
  );
  const adapter = createAdapter({ kind: args.network ?? 'lora', modules, rank: 8, generator: new TorchGenerator(1) });
  const groups = loraGroups(adapter, args.learning_rate, args.loraplus_lr_ratio);
  expect(groups.map(({ name }) => name)).toEqual(output.descriptions);
  for (const [i, { lr, params }] of output.groups.entries()) {
    expect(groups[i]!.learningRate).toBeAllClose(lr, { rtol: 1e-12 });
    if (params) expect(groups[i]!.parameters.map(({ name }) => name)).toEqual(params);
  }
});

test.each(golden.scale_weight_norms)('norms limited to $args', ({ args, input, output }) => {
  const modules = toModules(input);
  const { keysScaled, mean, maximum } = limitWeightNorms({ modules }, args.scale_weight_norms)!;
  const { abs, rel } = golden.settings.tolerance;
  expect(keysScaled).toBe(output.keys_scaled);
  expect([mean, maximum]).toBeAllClose([output.mean_norm, output.max_norm], { rtol: rel });
  const after = new Map(toModules(output.after).map((module) => [module.name, module]));
  for (const { name, down, up } of modules) {
    expect(down).toBeAllClose(after.get(name)!.down, { atol: abs, rtol: rel });
    expect(up).toBeAllClose(after.get(name)!.up, { atol: abs, rtol: rel });
  }
});

test('saved_file is written byte for byte', async () => {
  const { input, args, output } = golden.saved_file;
  const modules = toModules(input as Record<string, number | number[][]>);
  const { tensors, metadata } = await loraFile(
    { modules },
    { dtype: savePrecision(args.save_precision), metadata: args.metadata },
  );
  expect(metadata).toEqual(output.metadata);

  const original = Uint8Array.from(atob(output.file_base64), (letter) => letter.charCodeAt(0));
  const length = Number(new DataView(original.buffer).getBigUint64(0, true));
  const header = new TextDecoder().decode(original.subarray(8, 8 + length));
  const { ['__metadata__']: given } = JSON.parse(header) as { ['__metadata__']: Record<string, string> };
  const ordered = Object.fromEntries(Object.keys(given).map((key) => [key, metadata[key]!]));
  expect(await encodeSafetensors(tensors, { metadata: ordered })).toEqual(original);
});

function shapeOf(values: Nested): number[] {
  const [first] = values;
  return [values.length, ...(Array.isArray(first) ? shapeOf(first) : [])];
}

function flat(values: Nested): number[] {
  return (values as unknown[]).flat(Infinity) as number[];
}

/** A linear layer with an adapter, and the gradients of `⟨grad_y, y⟩` with respect to its factors. */
function runLayer(
  module: AdapterModule,
  input: { x?: Nested; weight?: Nested; bias?: Nested; grad_y?: Nested },
  multiplier: number,
  dropout: DropoutOptions = {},
  source: UniformSource = { rand: () => new Float32Array() },
) {
  const { inFeatures, outFeatures } = module;
  const shape = shapeOf(input.x!);
  const graph = new Graph('layer');
  // A symbol for the batch, so that masks take their sizes from what is fed.
  const x = graph.input('x', 'float32', ['B', ...shape.slice(1)]);
  const external = { location: 'w', offset: 0, length: 4 * inFeatures * outFeatures };
  const params = createParams(graph, (name) => ({
    dtype: 'float32',
    ...(name.endsWith('bias')
      ? { shape: [outFeatures], external: { ...external, length: 4 * outFeatures } }
      : { shape: [outFeatures, inFeatures], external }),
  }));
  const y = add(linear(x, params.at('layer'), inFeatures, outFeatures), 0);
  graph.output('y', y);
  const weighted = mul(y, graph.input('grad_y', 'float32', y.shape));
  graph.output(
    'loss',
    reduceSum(
      weighted,
      weighted.shape.map((_, axis) => axis),
      false,
    ),
  );

  const adapter = { modules: [module] };
  const injected = injectLora(graph, [{ adapter, multiplier, dropout }]);
  const trainable = Object.keys(loraFeeds(adapter));
  const { graph: backward, gradients } = vjp(injected, ['loss'], trainable);
  gradients.forEach((gradient, i) => backward.output(`gradient.${i}`, gradient!));

  const shapes = { x: { dtype: 'float32', shape, data: new Float32Array() } } as const;
  const feeds = { ...loraFeeds(adapter), ...planDropout(injected, adapter, dropout)?.(shapes, source) };
  const weights: Record<string, Nested> = { 'layer.weight': input.weight!, 'layer.bias': input.bias! };
  const result = interpret(
    backward,
    {
      x: tensor(shape, flat(input.x!)),
      grad_y: tensor(shapeOf(input.grad_y!), flat(input.grad_y!)),
      ...Object.fromEntries(
        Object.entries(feeds).map(([name, fed]) => [
          name,
          tensor([...fed.shape], Array.from(fed.data as Float32Array)),
        ]),
      ),
    },
    { external: ({ name }: Value) => tensor(shapeOf(weights[name]!), flat(weights[name]!)) },
  );
  return { y: result['y']!.data, gradients: trainable.map((_, i) => result[`gradient.${i}`]!.data) };
}

function toModules(tensors: Record<string, number | number[][]>): LoraModule[] {
  const names = Object.keys(tensors).flatMap((key) => (key.endsWith('.alpha') ? [key.slice(0, -'.alpha'.length)] : []));
  return names.map((name) => {
    const down = tensors[`${name}.lora_down.weight`] as number[][];
    const up = tensors[`${name}.lora_up.weight`] as number[][];
    return {
      name,
      rank: down.length,
      alpha: tensors[`${name}.alpha`] as number,
      inFeatures: down[0]!.length,
      outFeatures: up.length,
      down: Float32Array.from(down.flat()),
      up: Float32Array.from(up.flat()),
    };
  });
}
