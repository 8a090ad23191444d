import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, expect, test } from 'vitest';

import type { DataType, Value } from '../src/index.ts';

import { Graph, cast, createParams, decodeModel, embedding, encodeModel, int64s, linear } from '../src/index.ts';
import { type Tensor64, fromHost, interpret, tensor } from './interpreter/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'musubi-onnx-graph-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** bfloat16 bits of numbers that need no rounding. */
const bfloat16 = (values: readonly number[]) =>
  new Uint16Array(Uint16Array.from(values, (v) => (new Uint32Array(Float32Array.of(v).buffer)[0] ?? 0) >>> 16));

test.each<[string, number]>([
  ['weights.safetensors', 0],
  ['weights.safetensors', 13],
  ['shards/weights 1 of 2.safetensors', 7],
])('weights in %s at offset %i are read by ONNX Runtime', async (location, gap) => {
  const weight = [1, -2, 0.5, 4, 0.25, -1, 3, 2, -0.5, 1, 1, 8];
  const bias = [0.1, -0.2, 0.3];
  const bytes = new Uint8Array(gap + 24 + 12);
  bytes.set(new Uint8Array(bfloat16(weight).buffer), gap);
  bytes.set(new Uint8Array(Float32Array.from(bias).buffer), gap + 24);
  mkdirSync(dirname(join(folder, location)), { recursive: true });
  writeFileSync(join(folder, location), bytes);

  const stored = new Map([
    ['proj.weight', { dtype: 'bfloat16', shape: [3, 4], external: { location, offset: gap, length: 24 } }],
    ['proj.bias', { dtype: 'float32', shape: [3], external: { location, offset: gap + 24, length: 12 } }],
  ] satisfies [string, { dtype: DataType; shape: number[]; external: Value['external'] }][]);
  const graph = new Graph('example');
  const x = graph.input('x', 'float32', ['B', 4]);
  const p = createParams(graph, (name) => stored.get(name)).at('proj');
  graph.output('y', linear(x, p, 4, 3));
  graph.output('rows', embedding(int64s(graph, [2, 0, 2, 1]), p, 3, 4));
  graph.output('weight', cast(p.tensor('weight', [3, 4]), 'float64'));

  const model = encodeModel(decodeModel(encodeModel(graph)));
  const session = await InferenceSession.create(model, {
    extra: { session: { model_external_initializers_file_folder_path: folder } },
  });
  const feed = tensor([2, 4], [1, 2, 3, 4, -1, 0.5, 2, 0]);
  const results = await session.run({ x: new Tensor('float32', Float32Array.from(feed.data), [2, 4]) });
  await session.release();

  const weights: Record<string, Tensor64> = {
    'proj.weight': tensor([3, 4], weight),
    'proj.bias': fromHost({ dtype: 'float32', shape: [3], data: Float32Array.from(bias) }),
  };
  const computed = interpret(graph, { x: feed }, { external: ({ name }) => weights[name] ?? tensor([0], []) });
  expect(results['weight']?.data).toEqual(Float64Array.from(weight));
  expect(results['rows']?.data).toEqual(Float32Array.from([2, 0, 2, 1].flatMap((i) => weight.slice(4 * i, 4 * i + 4))));
  expect(computed['rows']?.data).toEqual(Float64Array.from(results['rows']?.data as Float32Array));
  expect(results['y']?.dims).toEqual(computed['y']?.shape);
  expect(results['y']?.data).toBeAllClose(computed['y']?.data ?? [], { rtol: 1e-6, atol: 1e-6 });
});
