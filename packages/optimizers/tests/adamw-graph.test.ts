import { encodeModel } from '@musubi/onnx-graph';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';

import { clipGradNorm, createOptimizer } from '../src/index.ts';
import type { ParameterGroup } from '../src/index.ts';
import {
  adamwFactors,
  adamwGraph,
  adamwGraphNames as names,
  adamwGraphOptions,
  adamwMoments,
  gradientSumGraph,
  gradientSumNames,
} from '../src/graph.ts';
import type { AdamwGraphOptions } from '../src/graph.ts';

const scalarShape: number[] = [];

/** Numbers between −1 and 1 that look random. */
function numbers(count: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.sin(12.9898 * (i + 1) + 78.233 * seed));
}

function parameter(name: string, shape: number[], seed: number) {
  const size = shape.reduce((product, n) => product * n, 1);
  return { name, shape, data: numbers(size, seed) };
}

function makeGroups(): ParameterGroup[] {
  const down = [parameter('a.lora_down.weight', [4, 33], 1), parameter('bias', [5], 2)];
  const up = [parameter('a.lora_up.weight', [33, 4], 3), parameter('s', scalarShape, 4)];
  return [
    { name: 'unet', learningRate: 1e-3, parameters: down },
    { name: 'unet plus', learningRate: 4e-3, parameters: up },
  ];
}

async function createGraphStepper(groups: readonly ParameterGroup[], options: AdamwGraphOptions) {
  const session = await InferenceSession.create(encodeModel(adamwGraph(groups, options)));
  const parameters = groups.flatMap((group) => group.parameters);
  const state = new Map<string, Tensor>();
  let weightSum = NaN;
  for (const { name, data, shape } of parameters) state.set(name, new Tensor('float32', data.slice(), shape));
  for (const { name, shape } of adamwMoments(groups, options)) {
    const size = shape.reduce((product, n) => product * n, 1);
    for (const key of [names.firstMoment(name), names.secondMoment(name)]) {
      state.set(key, new Tensor('float32', new Float32Array(size), shape));
    }
  }
  const step = async (t: number, gradients: ReadonlyMap<string, Float32Array>, rates: readonly number[], scale = 1) => {
    const feeds: Record<string, Tensor> = {
      ...Object.fromEntries(state),
      ...(options.factorsAsInputs
        ? scalars(adamwFactors(t, rates, options))
        : {
            step: new Tensor('float32', Float32Array.of(t), []),
            learning_rates: new Tensor('float32', Float32Array.from(rates), [rates.length]),
          }),
      ...(options.scalesGradients ? scalars({ gradient_scale: scale }) : {}),
    };
    for (const { name, shape } of parameters) {
      feeds[names.gradient(name)] = new Tensor('float32', gradients.get(name)!, shape);
    }
    const outputs = await session.run(feeds);
    for (const key of state.keys()) state.set(key, outputs[names.updated(key)]!);
    weightSum = Number(outputs['weight_sum']?.data[0] ?? NaN);
    return outputs['gradient_norm']!.data[0] as number;
  };
  return {
    step,
    state,
    /** After the last step. */
    get weightSum() {
      return weightSum;
    },
  };
}

const scalars = (numbersByName: Readonly<Record<string, number>>): Record<string, Tensor> =>
  Object.fromEntries(
    Object.entries(numbersByName).map(([name, x]) => [name, new Tensor('float32', Float32Array.of(x), scalarShape)]),
  );

describe.each<[string, AdamwGraphOptions, Record<string, unknown>]>([
  ['the defaults', {}, {}],
  [
    'other betas and weight decay',
    { betas: [0.8, 0.95], eps: 1e-6, weightDecay: 0.1 },
    { betas: [0.8, 0.95], eps: 1e-6, weight_decay: 0.1 },
  ],
  ['no first moment and no decay', { betas: [0, 0.9], weightDecay: 0 }, { betas: [0, 0.9], weight_decay: 0 }],
  ['clipping', { maxGradNorm: 0.5 }, {}],
  ['factors as inputs', { factorsAsInputs: true }, {}],
  [
    'factors as inputs and no decay',
    { factorsAsInputs: true, weightDecay: 0, betas: [0.5, 0.9], eps: 1e-3, maxGradNorm: 0.5 },
    { weight_decay: 0, betas: [0.5, 0.9], eps: 1e-3 },
  ],
])('adamwGraph with %s', (_, options, args) => {
  test('equals the optimizer on arrays over 12 steps', async () => {
    const groups = makeGroups();
    const optimizer = createOptimizer('AdamW', groups, args);
    const graph = await createGraphStepper(groups, options);
    const parameters = groups.flatMap((group) => group.parameters);

    for (let t = 1; t <= 12; t++) {
      // Three decades of sizes, and one step without any gradient.
      const size = t === 5 ? 0 : 10 ** -(t % 3);
      const gradients = new Map(
        parameters.map(({ name, data }, k) => [name, numbers(data.length, 10 * t + k).map((g) => g * size)]),
      );
      const rates = [1e-3 * Math.min(1, t / 4), 4e-3];
      const norm = await graph.step(t, gradients, rates);
      expect([norm]).toBeAllClose([clipGradNorm(gradients, options.maxGradNorm ?? 0)], { rtol: 1e-6 });
      optimizer.step(gradients, rates);

      const { tensors } = optimizer.state();
      for (const { name, data } of parameters) {
        expect(graph.state.get(name)!.data as Float32Array).toBeAllClose(data, { atol: 5e-7, rtol: 1e-6 });
        for (const key of [names.firstMoment(name), names.secondMoment(name)]) {
          expect(graph.state.get(key)!.data as Float32Array).toBeAllClose(tensors.get(key)!.data, {
            // One rounding of the values up to 1 that cancel in a moment.
            atol: 6e-8,
            rtol: 1e-6,
          });
        }
      }
    }
  });
});

test('refuses a graph without parameters', () => {
  expect(() => adamwGraph([])).toThrow(expect.objectContaining({ code: 'BAD_PARAMETERS' }));
});

test('is exact in its bias corrections from the first step to the hundred-thousandth', async () => {
  const group = { name: 'unet', learningRate: 1, parameters: [{ name: 'p', shape: [1], data: new Float32Array(1) }] };
  const session = await InferenceSession.create(encodeModel(adamwGraph([group], { weightDecay: 0 })));
  for (const t of [1, 2, 10, 100, 1000, 100_000]) {
    const outputs = await session.run({
      p: one(0),
      'grad/p': one(1),
      'exp_avg.p': one(0),
      'exp_avg_sq.p': one(0),
      step: new Tensor('float32', Float32Array.of(t), []),
      learning_rates: one(1),
    });
    const expected = -(0.1 / (1 - 0.9 ** t)) / (Math.sqrt(0.001) / Math.sqrt(1 - 0.999 ** t) + 1e-8);
    expect([outputs['new/p']!.data[0] as number]).toBeAllClose([expected], { rtol: 1e-6 });
  }
});

function one(x: number): Tensor {
  return new Tensor('float32', Float32Array.of(x), [1]);
}

test('factors from doubles are those of the optimizer on arrays', async () => {
  // all in order and rounded alike, so that only the root may differ, by one rounding
  const groups = makeGroups();
  const optimizer = createOptimizer('AdamW', groups);
  const graph = await createGraphStepper(groups, { factorsAsInputs: true });
  const parameters = groups.flatMap((group) => group.parameters);
  for (const t of [1, 2, 3]) {
    const gradients = new Map(parameters.map(({ name, data }, k) => [name, numbers(data.length, 10 * t + k)]));
    await graph.step(t, gradients, [1e-3, 4e-3]);
    optimizer.step(gradients, [1e-3, 4e-3]);
  }
  for (const { name, data } of parameters) {
    expect(graph.state.get(name)!.data as Float32Array).toBeAllClose(data, { atol: 1e-9, rtol: 1.2e-7 });
  }
});

test.each([0, 0.5])('scales gradients before their norm and its limit %d', async (maxGradNorm) => {
  const groups = makeGroups();
  const parameters = groups.flatMap((group) => group.parameters);
  const gradients = new Map(parameters.map(({ name, data }, k) => [name, numbers(data.length, 10 + k)]));
  const graph = await createGraphStepper(groups, { maxGradNorm, scalesGradients: true });
  const norm = await graph.step(1, gradients, [1e-3, 4e-3], 1 / 3);
  const scaled = new Map(Array.from(gradients, ([name, g]) => [name, g.map((x) => x / 3)]));
  expect([norm]).toBeAllClose([clipGradNorm(scaled, maxGradNorm)], { rtol: 1e-6 });
  createOptimizer('AdamW', groups).step(scaled, [1e-3, 4e-3]);
  for (const { name, data } of parameters) {
    expect(graph.state.get(name)!.data as Float32Array).toBeAllClose(data, { atol: 1e-7, rtol: 1e-6 });
  }
});

test('the sum of the weights tells whether all are finite', async () => {
  const groups = makeGroups();
  const graph = await createGraphStepper(groups, { sumsWeights: true, weightDecay: 0 });
  const gradients = new Map(
    groups.flatMap((g) => g.parameters).map(({ name, data }) => [name, numbers(data.length, 1)]),
  );
  await graph.step(1, gradients, [0, 0]);
  const sum = groups.flatMap((g) => g.parameters).reduce((all, { data }) => all + data.reduce((a, b) => a + b, 0), 0);
  expect(graph.weightSum).toBeCloseTo(sum, 5);
  await graph.step(2, gradients, [0, 3.4e38]);
  await graph.step(3, gradients, [0, 3.4e38]);
  expect(graph.weightSum).not.toBeCloseTo(sum, 5);
  expect(Number.isFinite(graph.weightSum)).toBe(false);
});

const named = (group: string, shapes: number[][]) =>
  shapes.map((shape, k) => parameter(`${group}.${k}`, shape, k + group.length));

/** More of one kind than are joined in two rounds of kernels, others between them, and some that stay alone. */
function manyGroups(): ParameterGroup[] {
  const many = Array.from({ length: 60 }, (_, k) => [[3 + (k % 4), 2], [2, 5 + (k % 2)], [2]]).flat();
  return [
    { name: 'unet', learningRate: 1e-3, parameters: named('unet', [...many, scalarShape, scalarShape]) },
    {
      name: 'unet plus',
      learningRate: 4e-3,
      parameters: named('plus', [
        [4, 2],
        [2, 2, 3],
        [5, 2],
        [1, 2, 3],
      ]),
    },
  ];
}

test('joined parameters are computed as they are alone', async () => {
  const options = { maxGradNorm: 0.5, scalesGradients: true, factorsAsInputs: true, sumsWeights: true };
  const groups = manyGroups();
  const parameters = groups.flatMap((group) => group.parameters);
  const alone = await createGraphStepper(groups, options);
  const joined = await createGraphStepper(groups, { ...options, joinsParameters: true });
  for (const t of [1, 2, 3]) {
    const gradients = new Map(parameters.map(({ name, data }, k) => [name, numbers(data.length, 10 * t + k)]));
    const [norm, expected] = [joined, alone].map((graph) => graph.step(t, gradients, [1e-3, 4e-3], 1 / 3));
    expect([await norm]).toBeAllClose([(await expected)!], { rtol: 1e-6 });
  }
  // the norm is summed in another order, all else is the same
  const tolerance = { rtol: 1e-6, atol: 1e-7 };
  for (const { name } of parameters) {
    expect(joined.state.get(name)!.dims).toEqual(alone.state.get(name)!.dims);
    expect(joined.state.get(name)!.data as Float32Array).toBeAllClose(
      alone.state.get(name)!.data as Float32Array,
      tolerance,
    );
  }
  expect(joined.weightSum).toBeCloseTo(alone.weightSum, 4);
  const moments = adamwMoments(groups, { joinsParameters: true });
  expect(moments.length).toBeLessThan(parameters.length / 10);
  expect(moments.flatMap(({ parameters: some }) => some.map(({ name }) => name)).toSorted()).toEqual(
    parameters.map(({ name }) => name).toSorted(),
  );
  for (const key of [names.firstMoment, names.secondMoment]) {
    for (const { name, parameters: some } of moments) {
      const parts = some.flatMap((each) => [...(alone.state.get(key(each.name))!.data as Float32Array)]);
      expect(joined.state.get(key(name))!.data as Float32Array).toBeAllClose(parts, tolerance);
    }
  }
});

test('joined, the parameters of Wan 1.3B take few kernels', () => {
  const rank = 32;
  const [width, hidden] = [1536, 8960];
  const linears = [...Array.from({ length: 8 }, () => [width, width]), [hidden, width], [width, hidden]] as [
    number,
    number,
  ][];
  const parameters = Array.from({ length: 30 }, (_, block) =>
    linears.flatMap(([rows, columns], k) => [
      { name: `${block}.${k}.lora_down.weight`, shape: [rank, columns] },
      { name: `${block}.${k}.lora_up.weight`, shape: [rows, rank] },
    ]),
  ).flat();
  expect(parameters).toHaveLength(600);
  const form = { maxGradNorm: 1, scalesGradients: true, factorsAsInputs: true, sumsWeights: true };
  const kernels = (joinsParameters: boolean): number =>
    // a Reshape is a view
    adamwGraph([{ parameters }], { ...form, joinsParameters }).nodes.filter(({ op }) => op !== 'Reshape').length;
  expect(kernels(false)).toBe(11_404);
  expect(kernels(true)).toBeLessThanOrEqual(643);
  const sizes = adamwMoments([{ parameters }], { joinsParameters: true }).map(({ shape }) =>
    shape.reduce((product, n) => product * n, 4),
  );
  expect(Math.max(...sizes)).toBeLessThanOrEqual(2 ** 24);
});

test('gradients of batches are added up', async () => {
  const parameters = [
    { name: 'a', shape: [2, 3] },
    { name: 's', shape: scalarShape },
  ];
  const session = await InferenceSession.create(encodeModel(gradientSumGraph({ parameters })));
  const feeds = Object.fromEntries(
    parameters.flatMap(({ name, shape }, k) => {
      const size = shape.reduce((product, n) => product * n, 1);
      return [
        [gradientSumNames.sum(name), new Tensor('float32', numbers(size, k), shape)],
        [gradientSumNames.gradient(name), new Tensor('float32', numbers(size, k + 7), shape)],
      ];
    }),
  ) as Record<string, Tensor>;
  const outputs = await session.run(feeds);
  for (const [k, { name }] of parameters.entries()) {
    const sum = outputs[gradientSumNames.updated(name)]!;
    expect(sum.data).toEqual(numbers(sum.data.length, k).map((x, i) => x + numbers(sum.data.length, k + 7)[i]!));
  }
  expect(() => gradientSumGraph({ parameters: [] })).toThrow(expect.objectContaining({ code: 'BAD_PARAMETERS' }));
});

test('only AdamW has a graph, and its arguments are those of the optimizer', () => {
  const defaults = { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0.01 };
  expect(adamwGraphOptions('AdamW')).toEqual(defaults);
  expect(adamwGraphOptions('torch.optim.AdamW', { fused: true })).toEqual(defaults);
  const args = { betas: [0.5, 0.9], eps: 1e-4, weight_decay: 0.3 };
  expect(adamwGraphOptions('adamw', args)).toEqual({ betas: [0.5, 0.9], eps: 1e-4, weightDecay: 0.3 });
  expect(adamwGraphOptions('AdamW', { amsgrad: true })).toBeNull();
  for (const other of ['Adam', 'AdamW8bit', 'SGD', 'schedulefree.AdamWScheduleFree']) {
    expect(adamwGraphOptions(other), other).toBeNull();
  }
  expect(() => adamwGraphOptions('AdamW', { betas: 1 })).toThrow(
    expect.objectContaining({ code: 'OPTIMIZER_ARGUMENT' }),
  );
  expect(() => adamwGraphOptions('AdamV')).toThrow(expect.objectContaining({ code: 'UNKNOWN_OPTIMIZER' }));
});
