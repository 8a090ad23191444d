import { Graph, computeRmsDeviations, encodeModel, lowerAttention, neg } from '@musubi/onnx-graph';
import { probeProducts, providerOperators, runsOn } from '@musubi/runtime';
import { createWebRuntime, inspectWebGpu } from '@musubi/runtime/web';
import * as ort from 'onnxruntime-web/webgpu';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Tensor64 } from '../../onnx-graph/tests/interpreter/index.ts';

import { gradientCases } from '../../autodiff/tests/gradient-cases.ts';
import { differentiate, prepare } from '../../autodiff/tests/gradient-graphs.ts';
import { createRandom, fromHost, interpret, toHost } from '../../onnx-graph/tests/interpreter/index.ts';
import { type Case, createCase, operatorCases } from '../../onnx-graph/tests/operator-cases.ts';

const { InferenceSession, Tensor, env } = ort;

let kept: ort.InferenceSession;

beforeAll(async () => {
  env.wasm.wasmPaths = `${location.origin}/onnxruntime/`;
  env.wasm.numThreads = 1;
  const graph = new Graph('kept');
  graph.output('y', neg(graph.input('x', 'float32', [1])));
  // the device and its compiled shaders last as long as there is a session
  kept = await InferenceSession.create(encodeModel(graph), { executionProviders: ['webgpu'] });
});
afterAll(() => kept?.release());

async function runOnWebGpu(graph: Graph, feeds: Readonly<Record<string, Tensor64>>): Promise<Record<string, Tensor64>> {
  const session = await InferenceSession.create(encodeModel(graph), {
    executionProviders: ['webgpu'],
    graphOptimizationLevel: 'basic',
    logSeverityLevel: 3,
  });
  try {
    const tensors = graph.inputs.map(({ name, dtype }) => {
      const { shape, data } = toHost(feeds[name] ?? { shape: [], data: new Float64Array() }, dtype);
      return [name, new Tensor(dtype as 'float32', data as Float32Array, shape)];
    });
    const results = await session.run(Object.fromEntries(tensors) as Record<string, ort.Tensor>);
    const outputs = graph.outputs.map(({ name, value: { dtype } }) => {
      const { dims, data } = results[name] ?? new Tensor('float32', [], [0]);
      return [name, fromHost({ dtype, shape: dims, data: data as Float32Array })];
    });
    return Object.fromEntries(outputs) as Record<string, Tensor64>;
  } finally {
    await session.release();
  }
}

/** Floats of other widths than 32 bits, for which the device or the provider has no arithmetic. */
const hasOtherFloats = ({ graph }: Case): boolean =>
  [...graph.inputs, ...graph.initializers, ...graph.nodes.flatMap(({ outputs }) => outputs)].some(({ dtype }) =>
    /^(b?float16|float64|float8.*)$/.test(dtype),
  );

/** What ONNX Runtime 1.30 computes wrong or refuses there, and our graphs do not contain. */
const otherwise: Readonly<Record<string, readonly number[]>> = {
  // a scale that is smaller than the normalized axes is refused
  LayerNormalization: [4],
  // steps of −2: other elements
  Slice: [4],
};

/** What is used of one, which not every version of TypeScript's DOM types has. */
interface GpuDevice {
  readonly features: { has(feature: string): boolean };
  readonly limits: { readonly maxStorageBufferBindingSize: number; readonly maxBufferSize: number };
}

describe('the graphics card', () => {
  test('gives ONNX Runtime all that it offers', async () => {
    const offered = await inspectWebGpu();
    expect(offered).toMatchObject({ available: true, reason: '', remedy: '' });
    const { limits, features } = (await env.webgpu.device) as GpuDevice;
    expect(offered.maxBindingBytes).toBe(limits.maxStorageBufferBindingSize);
    expect(offered.maxBufferBytes).toBe(limits.maxBufferSize);
    expect(offered.float16).toBe(features.has('shader-f16'));
  });

  test('multiplies in float16 where it has 16-bit floats', async () => {
    const runtime = await createWebRuntime({ ort, device: 'webgpu', threads: 1 });
    const { float16 } = await inspectWebGpu();
    expect(runtime.info.webGpu?.float16).toBe(float16);
    expect(await probeProducts(runtime, 'float32')).toEqual({ state: 'works', reason: null });
    expect(await probeProducts(runtime, 'float16')).toMatchObject({ state: float16 ? 'works' : 'fails' });
    await runtime.close();
  });
});

describe('operators on WebGPU', () => {
  const cases = [...(providerOperators.webgpu ?? [])].flatMap((op) =>
    (operatorCases.get(op) ?? [])
      .map((build, i) => ({ op, i, example: createCase(1, build) }))
      .filter(({ i, example }) => !otherwise[op]?.includes(i) && !hasOtherFloats(example)),
  );

  test.each(cases)('$op, case $i', async ({ example: { graph, feeds } }) => {
    const actual = await runOnWebGpu(computeRmsDeviations(graph), feeds);
    for (const [name, expected] of Object.entries(interpret(graph, feeds))) {
      expect(actual[name]?.shape).toEqual(expected.shape);
      expect(actual[name]?.data).toBeAllClose(expected.data, { rtol: 1e-5, atol: 1e-5 });
    }
  });

  test('the deviations of SimplifiedLayerNormalization are wrong, so that they have to be computed', async () => {
    const [build = () => []] = operatorCases.get('SimplifiedLayerNormalization') ?? [];
    const { graph, feeds } = createCase(1, build);
    const [actual, expected] = [await runOnWebGpu(graph, feeds), interpret(graph, feeds)];
    expect(actual['y0']?.data).toBeAllClose(expected['y0']?.data ?? [], { rtol: 1e-5, atol: 1e-5 });
    expect(() => expect(actual['y1']?.data).toBeAllClose(expected['y1']?.data ?? [], { rtol: 0.1 })).toThrow('differ');
  });
});

describe('gradients on WebGPU', () => {
  // a cast through float64 is its only case
  const cases = gradientCases.filter(({ op }) => runsOn('webgpu', op) && op !== 'Cast');

  test.each(cases)('$op, $name', async (example) => {
    const random = createRandom(20262);
    const prepared = prepare(example, random);
    const { graph, seeds } = differentiate(prepared, random);
    const feeds = { ...prepared.feeds, ...seeds };
    const actual = await runOnWebGpu(computeRmsDeviations(lowerAttention(graph, prepared.attention)), feeds);
    for (const [name, expected] of Object.entries(interpret(graph, feeds))) {
      const largest = expected.data.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-3);
      expect(actual[name]?.shape).toEqual(expected.shape);
      expect(actual[name]?.data).toBeAllClose(expected.data, { atol: 1e-5 * largest, rtol: 0 });
    }
  });
});
