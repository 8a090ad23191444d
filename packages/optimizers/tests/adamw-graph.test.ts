import { encodeModel } from '@musubi/onnx-graph';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';

import { clipGradNorm, createOptimizer } from '../src/index.ts';
import type { ParameterGroup } from '../src/index.ts';
import { adamwGraph, adamwGraphNames as names } from '../src/graph.ts';
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
  for (const { name, data, shape } of parameters) {
    state.set(name, new Tensor('float32', data.slice(), shape));
    for (const key of [names.firstMoment(name), names.secondMoment(name)]) {
      state.set(key, new Tensor('float32', new Float32Array(data.length), shape));
    }
  }
  const step = async (t: number, gradients: ReadonlyMap<string, Float32Array>, rates: readonly number[]) => {
    const feeds: Record<string, Tensor> = {
      ...Object.fromEntries(state),
      step: new Tensor('float32', Float32Array.of(t), []),
      learning_rates: new Tensor('float32', Float32Array.from(rates), [rates.length]),
    };
    for (const { name, shape } of parameters) {
      feeds[names.gradient(name)] = new Tensor('float32', gradients.get(name)!, shape);
    }
    const outputs = await session.run(feeds);
    for (const key of state.keys()) state.set(key, outputs[names.updated(key)]!);
    return outputs['gradient_norm']!.data[0] as number;
  };
  return { step, state };
}

describe.each<[string, AdamwGraphOptions, Record<string, unknown>]>([
  ['the defaults', {}, {}],
  [
    'other betas and weight decay',
    { betas: [0.8, 0.95], eps: 1e-6, weightDecay: 0.1 },
    { betas: [0.8, 0.95], eps: 1e-6, weight_decay: 0.1 },
  ],
  ['no first moment and no decay', { betas: [0, 0.9], weightDecay: 0 }, { betas: [0, 0.9], weight_decay: 0 }],
  ['clipping', { maxGradNorm: 0.5 }, {}],
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
