import { encodeModel } from '@musubi/onnx-graph';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';

import { clipGradNorm, createOptimizer } from '../src/index.ts';
import type { ParameterGroup } from '../src/index.ts';
import { adamwScheduleFreeGraph, scheduleFreeAverageGraph, scheduleFreeGraphNames as names } from '../src/graph.ts';
import type { AdamwScheduleFreeGraphOptions } from '../src/graph.ts';

/** Numbers between −1 and 1 that look random. */
const numbers = (count: number, seed: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(12.9898 * (i + 1) + 78.233 * seed));

const parameter = (name: string, shape: number[], seed: number) => ({
  name,
  shape,
  data: numbers(
    shape.reduce((product, n) => product * n, 1),
    seed,
  ),
});

function makeGroups(): ParameterGroup[] {
  return [
    {
      name: 'unet',
      learningRate: 1e-2,
      parameters: [parameter('a.lora_down.weight', [4, 33], 1), parameter('b', [5], 2)],
    },
    { name: 'unet plus', learningRate: 4e-2, parameters: [parameter('a.lora_up.weight', [33, 4], 3)] },
  ];
}

describe.each<[string, AdamwScheduleFreeGraphOptions, Record<string, unknown>]>([
  ['the defaults', {}, {}],
  [
    'other numbers',
    { betas: [0.8, 0.95], eps: 1e-6, weightDecay: 0.1, warmupSteps: 5, r: 1, weightLrPower: 1.5 },
    { betas: [0.8, 0.95], eps: 1e-6, weight_decay: 0.1, warmup_steps: 5, r: 1, weight_lr_power: 1.5 },
  ],
  ['clipping', { maxGradNorm: 0.5 }, {}],
])('adamwScheduleFreeGraph with %s', (_, options, args) => {
  test('equals the optimizer on arrays over 12 steps, average included', async () => {
    const groups = makeGroups();
    const parameters = groups.flatMap((group) => group.parameters);
    const session = await InferenceSession.create(encodeModel(adamwScheduleFreeGraph(groups, options)));
    const averaging = await InferenceSession.create(encodeModel(scheduleFreeAverageGraph(groups, options.betas?.[0])));
    const optimizer = createOptimizer('schedulefree.AdamWScheduleFree', groups, args);
    const state = new Map<string, Tensor>(
      ['lr_max', 'weight_sum'].map((name) => [name, new Tensor('float32', new Float32Array(2), [2])]),
    );
    for (const { name, data, shape } of parameters) {
      state.set(name, new Tensor('float32', data.slice(), shape));
      state.set(names.z(name), new Tensor('float32', data.slice(), shape));
      state.set(names.secondMoment(name), new Tensor('float32', new Float32Array(data.length), shape));
    }

    for (let t = 1; t <= 12; t++) {
      // Three decades of sizes, a step without any gradient, and a first one at rate 0.
      const size = t === 5 ? 0 : 10 ** -(t % 3);
      const gradients = new Map(
        parameters.map(({ name, data }, k) => [name, numbers(data.length, 10 * t + k).map((g) => g * size)]),
      );
      const rates = t === 1 ? [0, 0] : [1e-2, 4e-2];
      const outputs = await session.run({
        ...Object.fromEntries(state),
        ...Object.fromEntries(
          parameters.map(({ name, shape }) => [
            names.gradient(name),
            new Tensor('float32', gradients.get(name)!.slice(), shape),
          ]),
        ),
        step: new Tensor('float32', Float32Array.of(t), []),
        learning_rates: new Tensor('float32', Float32Array.from(rates), [2]),
      });
      for (const key of state.keys()) state.set(key, outputs[names.updated(key)]!);
      const norm = clipGradNorm(gradients, options.maxGradNorm ?? 0);
      expect([outputs['gradient_norm']!.data[0] as number]).toBeAllClose([norm], { rtol: 1e-6 });
      optimizer.step(gradients, rates);

      const { tensors } = optimizer.state();
      for (const { name, data } of parameters) {
        const of = (key: string) => state.get(key)!.data as Float32Array;
        // A few roundings of values around 1.
        expect(of(name)).toBeAllClose(data, { atol: 5e-7, rtol: 1e-6 });
        expect(of(names.z(name))).toBeAllClose(tensors.get(names.z(name))!.data, { atol: 5e-7, rtol: 1e-6 });
        const secondMoment = names.secondMoment(name);
        expect(of(secondMoment)).toBeAllClose(tensors.get(secondMoment)!.data, { atol: 1e-9, rtol: 1e-6 });
      }
    }

    const feeds = parameters.flatMap(({ name }) => [name, names.z(name)]).map((key) => [key, state.get(key)!]);
    const averages = await averaging.run(Object.fromEntries(feeds) as Record<string, Tensor>);
    optimizer.eval();
    for (const { name, data } of parameters) {
      expect(averages[names.average(name)]!.data as Float32Array).toBeAllClose(data, { atol: 1e-6, rtol: 1e-6 });
    }
  });
});

test('refuses a graph without parameters', () => {
  for (const create of [adamwScheduleFreeGraph, scheduleFreeAverageGraph]) {
    expect(() => create([{ parameters: [] }])).toThrow(expect.objectContaining({ code: 'BAD_PARAMETERS' }));
  }
});
