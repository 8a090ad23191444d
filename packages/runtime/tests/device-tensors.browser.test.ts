import type { HostTensor } from '@musubi/onnx-graph';

import { Graph, add, encodeModel, mul, reduceSum } from '@musubi/onnx-graph';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Feed, Runtime } from '../src/index.ts';

import { createWebRuntime } from '../src/web.ts';

const vector = (...data: number[]): HostTensor => ({
  dtype: 'float32',
  shape: [data.length],
  data: Float32Array.from(data),
});

/** `new/x = 0.5·x + y`, and its sum. */
function halving(): Uint8Array {
  const graph = new Graph('halving');
  const next = add(mul(graph.input('x', 'float32', [5]), 0.5), graph.input('y', 'float32', [5]));
  graph.output('new/x', next);
  graph.output('sum', reduceSum(next, [0], false));
  return encodeModel(graph);
}

/** `z = x·x`, in another session. */
function squaring(): Uint8Array {
  const graph = new Graph('squaring');
  const x = graph.input('x', 'float32', [5]);
  graph.output('z', mul(x, x));
  return encodeModel(graph);
}

describe('on WebGPU', () => {
  let runtime: Runtime;
  beforeAll(async () => {
    const worker = new Worker('/bundle/runtime-worker.js', { type: 'module' });
    const wasmPaths = `${location.origin}/onnxruntime/`;
    runtime = await createWebRuntime({ worker, device: 'webgpu', threads: 1, wasmPaths });
  });
  afterAll(() => runtime?.close());

  test('an output goes round as a feed, to this session and another, and stays as it was', async () => {
    expect(runtime.info.keepsOnDevice).toBe(true);
    const session = await runtime.createSession({ model: halving(), label: 'halving', keepOnDevice: ['new/x'] });
    const other = await runtime.createSession({ model: squaring(), keepOnDevice: ['z'] });
    const y = vector(1, -2, 3, 0.25, 1 / 3);
    let x: Feed = vector(1, 2, 3, 4, 5);
    let expected = Float32Array.of(1, 2, 3, 4, 5);
    for (let step = 0; step < 6; step++) {
      const { outputs, kept } = await session.runOnDevice({ x, y });
      expect(Object.keys(outputs)).toEqual(['sum']);
      if (!('data' in x)) await x.release();
      x = kept['new/x']!;
      expected = expected.map((value, i) => value * 0.5 + Number(y.data[i]));
      expect(outputs['sum']?.data[0]).toBeCloseTo(expected.reduce((a, b) => a + b));
      // reading changes nothing of what later runs are fed
      if (step % 2 === 0) expect(await x.read()).toEqual({ dtype: 'float32', shape: [5], data: expected });
    }
    if ('data' in x) throw new Error('nothing was kept');
    const { kept } = await other.runOnDevice({ x });
    expect((await kept['z']?.read())?.data).toBeAllClose(
      expected.map((value) => value * value),
      { rtol: 1e-6 },
    );
    expect((await x.read()).data).toEqual(expected);
    expect((await x.read()).data).toEqual(expected);

    await session.release();
    await expect(x.read()).rejects.toMatchObject({ code: 'TENSOR_RELEASED' });
    await expect(other.runOnDevice({ x })).rejects.toMatchObject({ code: 'TENSOR_RELEASED', tensor: 'x' });
    await x.release();
    await other.release();
  });

  test('a plain run gives them in host memory', async () => {
    const session = await runtime.createSession({ model: halving(), keepOnDevice: ['new/x'] });
    const feeds = { x: vector(2, 2, 2, 2, 2), y: vector(0, 1, 2, 3, 4) };
    const both = await session.run(feeds);
    expect(both).toEqual({
      'new/x': vector(1, 2, 3, 4, 5),
      sum: { dtype: 'float32', shape: [], data: Float32Array.of(15) },
    });
    expect(await session.run(feeds, ['sum'])).toEqual({ sum: both['sum'] });
    await session.release();
  });

  test('names that are no outputs are refused', async () => {
    await expect(runtime.createSession({ model: halving(), keepOnDevice: ['x'] })).rejects.toMatchObject({
      code: 'UNKNOWN_OUTPUT',
      tensor: 'x',
    });
  });
});
