import {
  type DataType,
  type Graph,
  type HostTensor,
  encodeModel,
  fuseProducts,
  lowerAttention,
} from '@musubi/onnx-graph';
import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';

import { type Tensor64, createRandom, interpret, randomTensor } from '../../onnx-graph/tests/interpreter/index.ts';
import { gradientRules } from '../src/index.ts';
import { gradientCases } from './gradient-cases.ts';
import { differentiate, prepare } from './gradient-graphs.ts';

/** Of lengths and values. */
const drawSeeds = [20260, 20261, 20262];

const inner = (a: Tensor64, b: Tensor64): number => a.data.reduce((sum, x, i) => sum + x * (b.data[i] ?? NaN), 0);

const withSeeds = (chosen: readonly number[]) =>
  gradientCases.flatMap((c) => chosen.map((seed) => [c.op, c.name, seed, c] as const));

describe('gradient rules', () => {
  test('every rule has a case', () => {
    const covered = new Set(gradientCases.map((c) => c.op));
    expect(Object.keys(gradientRules).filter((op) => !covered.has(op))).toEqual([]);
  });

  test.each(withSeeds(drawSeeds))('%s, %s, seed %i: finite differences', (_op, _name, seed, c) => {
    const random = createRandom(seed);
    const prepared = prepare(c, random);
    const { graph, cotangents, seeds } = differentiate(prepared, random);
    const { forward, feeds, wrt, outputs } = prepared;
    const results = interpret(graph, { ...feeds, ...seeds });

    const direction = Object.fromEntries(wrt.map((name) => [name, randomTensor(random, feeds[name]?.shape ?? [])]));
    const h = 1e-5;
    const lossAt = (step: number) => {
      const moved = Object.fromEntries(
        Object.entries(feeds).map(([name, x]) => [
          name,
          { shape: x.shape, data: x.data.map((v, i) => v + step * (direction[name]?.data[i] ?? 0)) },
        ]),
      );
      const y = interpret(forward, moved);
      return outputs.reduce((sum, name) => sum + inner(must(cotangents[name]), must(y[name])), 0);
    };
    const numeric = (lossAt(h) - lossAt(-h)) / (2 * h);
    const analytic = wrt.reduce((sum, name) => sum + inner(must(results[`grad/${name}`]), must(direction[name])), 0);

    const scale = Math.max(
      Math.abs(numeric),
      wrt.reduce((m, n) => Math.max(m, norm(must(results[`grad/${n}`]))), 0),
      1e-3,
    );
    expect(Math.abs(numeric - analytic) / scale).toBeLessThan(1e-6);
  });

  test.each(withSeeds(drawSeeds.slice(-1)))('%s, %s, seed %i: ONNX Runtime', async (_op, _name, seed, c) => {
    const random = createRandom(seed);
    const prepared = prepare(c, random);
    const { graph, seeds } = differentiate(prepared, random);
    const feeds = { ...prepared.feeds, ...seeds };
    const expected = interpret(graph, feeds);
    const actual = await runOnnx(fuseProducts(lowerAttention(graph, prepared.attention)), feeds);

    for (const name of prepared.wrt) {
      const [a, e] = [must(actual[`grad/${name}`]), must(expected[`grad/${name}`])];
      const largest = e.data.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
      expect(a.dims).toEqual(e.shape);
      expect(a.data as Float32Array).toBeAllClose(e.data, { atol: 1e-5 * Math.max(largest, 1e-3), rtol: 0 });
    }
  });
});

const must = <T>(x: T | undefined): T => {
  if (x === undefined) throw new Error('a value is missing');
  return x;
};

const norm = (x: Tensor64): number => Math.sqrt(inner(x, x));

const toHost = (dtype: DataType, { shape, data }: Tensor64): HostTensor => ({
  dtype,
  shape,
  data: Float32Array.from(data),
});

async function runOnnx(graph: Graph, feeds: Record<string, Tensor64>): Promise<Record<string, ort.Tensor>> {
  const session = await ort.InferenceSession.create(encodeModel(graph), { logSeverityLevel: 3, intraOpNumThreads: 1 });
  const tensors = graph.inputs.map(({ name, dtype }): [string, ort.Tensor] => {
    const { data, shape } = toHost(dtype, must(feeds[name]));
    return [name, new ort.Tensor('float32', data as Float32Array, shape)];
  });
  try {
    return await session.run(Object.fromEntries(tensors));
  } finally {
    await session.release();
  }
}
