import type { Runtime, SessionRequest } from '@musubi/runtime';

import { Graph, cast, decodeModel, gelu, matmul, mul, softmax, transpose } from '@musubi/onnx-graph';
import { graphWork, productFlops } from '@musubi/onnx-graph/analysis';
import { defaultMemoryPlan } from '@musubi/runtime';
import { createNodeRuntime } from '@musubi/runtime/node';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { cut, probeDevice } from './probe-device.ts';

/** A device whose time passes on a clock that is advanced. */
interface Pretended {
  readonly flopsPerSecond: number;
  readonly secondsPerByte: number;
  /** Before a session first multiplies. */
  readonly compiling: number;
  /** Operators that it has not. */
  readonly lacks?: readonly string[];
}

function pretend({ flopsPerSecond, secondsPerByte, compiling, lacks = [] }: Pretended) {
  const requests: Omit<SessionRequest, 'model'>[] = [];
  const runtime = {
    async createSession({ model, ...request }: SessionRequest) {
      const graph = decodeModel(model as Uint8Array);
      const lacking = graph.nodes.find(({ op }) => lacks.includes(op));
      if (lacking) throw new Error(`no kernel for ${lacking.op}\nand more`);
      requests.push(request);
      const seconds = graphWork(graph, new Map()).reduce((sum, { node, products, bytes }) => {
        if (node.op === 'Slice') return sum;
        const flops = products.reduce((all, product) => all + productFlops(product), 0);
        return sum + (flops > 0 ? flops / flopsPerSecond : bytes * secondsPerByte);
      }, 0);
      const multiplies = graph.nodes.some(({ op }) => op === 'MatMul');
      let isCompiled = false;
      return {
        async run() {
          vi.advanceTimersByTime(1000 * (seconds + (isCompiled || !multiplies ? 0 : compiling)));
          isCompiled = true;
          return {};
        },
        release: async () => {},
      };
    },
  } as unknown as Runtime;
  return { runtime, requests };
}

/** Work of a block that is 1536 wide, over 1560 tokens. */
function work(dtype: 'float32' | 'float16' = 'float32') {
  const graph = new Graph('block');
  const x = graph.input('x', 'float32', [1, 1560, 1536]);
  const narrow = cast(x, dtype);
  const hidden = cast(matmul(narrow, graph.input('up', dtype, [1536, 8960])), 'float32');
  graph.output('y', matmul(cast(gelu(hidden), dtype), graph.input('down', dtype, [8960, 1536])));
  const scores = graph.input('scores', 'float32', [12, 1560, 1560]);
  graph.output('z', matmul(cast(softmax(scores), dtype), graph.input('values', dtype, [12, 1560, 128])));
  graph.output('w', transpose(mul(x, x), [0, 2, 1]));
  return graphWork(graph, new Map());
}

describe('on a clock of its own', () => {
  beforeEach(() => vi.useFakeTimers({ toFake: ['performance'] }));
  afterEach(() => vi.useRealTimers());

  test.each([
    ['a large card', { flopsPerSecond: 5e14, secondsPerByte: 5e-13, compiling: 0.02 }, 4],
    ['a fast processor', { flopsPerSecond: 2e11, secondsPerByte: 5e-11, compiling: 0.01 }, 5],
    ['a slow processor', { flopsPerSecond: 1e10, secondsPerByte: 3e-10, compiling: 0.01 }, 8],
    ['a card in software', { flopsPerSecond: 3e8, secondsPerByte: 2e-9, compiling: 2.5 }, 12],
    ['such a card on a busy machine', { flopsPerSecond: 5e7, secondsPerByte: 1e-8, compiling: 5 }, 20],
  ])('%s is known in seconds', async (_, device, most) => {
    const { runtime } = pretend(device);
    const start = performance.now();
    const { products, secondsPerByte } = await probeDevice(runtime, work(), defaultMemoryPlan, {
      provider: 'webgpu',
      deviceId: 0,
    });
    expect((performance.now() - start) / 1000).toBeLessThan(most);
    expect(products.length).toBeGreaterThan(0);
    for (const { flopsPerSecond } of products) {
      expect(flopsPerSecond / device.flopsPerSecond).toBeGreaterThan(0.7);
      expect(flopsPerSecond / device.flopsPerSecond).toBeLessThan(1.4);
    }
    for (const seconds of Object.values(secondsPerByte)) {
      expect(seconds / device.secondsPerByte).toBeGreaterThan(0.7);
      expect(seconds / device.secondsPerByte).toBeLessThan(3);
    }
  });

  test('what there is no time for is said', async () => {
    const lines: string[] = [];
    const { runtime } = pretend({ flopsPerSecond: 5e7, secondsPerByte: 1e-8, compiling: 9 });
    const device = { provider: 'webgpu', deviceId: 0 } as const;
    const { products } = await probeDevice(runtime, work(), defaultMemoryPlan, device, (line) => lines.push(line));
    expect(lines.join('\n')).toMatch(
      /^This device is slow to measure\. .*: arithmetic, function, softmax, transpose, a product of /,
    );
    expect(products).toHaveLength(1);
  });

  test('what cannot be measured is said, with the reason', async () => {
    const lines: string[] = [];
    const found = { flopsPerSecond: 1e12, secondsPerByte: 1e-12, compiling: 0, lacks: ['Softmax'] };
    const { runtime } = pretend(found);
    const device = { provider: 'webgpu', deviceId: 0 } as const;
    const { secondsPerByte } = await probeDevice(runtime, work(), defaultMemoryPlan, device, (line) =>
      lines.push(line),
    );
    expect(lines).toEqual([
      'This could not be measured and is taken to be like what was measured: softmax (no kernel for Softmax).',
    ]);
    expect(secondsPerByte.softmax / 1e-12).toBeCloseTo(1, 0);
  });

  test('products are measured in the number type of the run, on its device', async () => {
    const { runtime, requests } = pretend({ flopsPerSecond: 1e12, secondsPerByte: 1e-12, compiling: 0 });
    const device = { provider: 'cuda', deviceId: 1 } as const;
    const { products } = await probeDevice(runtime, work('float16'), defaultMemoryPlan, device);
    expect(new Set(products.map(({ product }) => product.dtype))).toEqual(new Set(['float16']));
    expect(requests.every(({ providers, deviceId }) => providers?.join() === 'cuda' && deviceId === 1)).toBe(true);
  });
});

test('the graphs compute, as they are for CUDA too', async () => {
  const runtime = await createNodeRuntime();
  const onCpu: Runtime = {
    ...runtime,
    createSession: (request) => runtime.createSession({ ...request, providers: ['cpu'] }),
  };
  try {
    for (const dtype of ['float32', 'float16'] as const) {
      const graph = new Graph('small');
      const x = graph.input('x', dtype, [1, 64, 128]);
      graph.output('y', matmul(x, graph.input('w', dtype, [128, 64])));
      const lines: string[] = [];
      const device = { provider: 'cuda', deviceId: 0 } as const;
      const small = graphWork(graph, new Map());
      const { products, secondsPerByte } = await probeDevice(onCpu, small, defaultMemoryPlan, device, (line) =>
        lines.push(line),
      );
      expect(lines).toEqual([]);
      expect(products.every(({ flopsPerSecond }) => flopsPerSecond > 0)).toBe(true);
      expect(Object.values(secondsPerByte).every((seconds) => seconds > 0)).toBe(true);
    }
  } finally {
    await runtime.close();
  }
});

describe('cut', () => {
  const product = { batch: 1, m: 1560, k: 1536, n: 8960 };
  test.each([
    ['is the product where that is quick', 1e12, product],
    ['has fewer rows', 8e9, { ...product, m: 290 }],
    ['has as many as make a product of it', 1e9, { ...product, m: 128 }],
    ['has less of them on a slow device', 4.5e8, { ...product, m: 16 }],
    ['has shorter ones on a very slow device', 4e6, { ...product, m: 16, k: 768, n: 560 }],
  ])('%s', (_, flops, expected) => expect(cut(product, flops)).toEqual(expected));

  test('has fewer matrices first', () => {
    expect(cut({ batch: 12, m: 64, k: 64, n: 64 }, 1.1e6)).toEqual({ batch: 2, m: 64, k: 64, n: 64 });
  });

  test('leaves the sides of weights in 8 bits as they are', () => {
    const codes = { ...product, weightBits: 8 } as const;
    expect(cut(codes, 4e6)).toEqual({ ...codes, m: 16 });
  });
});
