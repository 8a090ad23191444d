import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type * as Ort from 'onnxruntime-node';

import { Graph, cast, decodeModel, encodeModel, gate, matmul, transpose } from '@musubi/onnx-graph';
import { findEngine } from '@musubi/runtime/node';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { loadedGraph, weightBytes } from '../src/estimate/loaded-graph.ts';

const { InferenceSession } = createRequire(import.meta.url)(findEngine().path) as typeof Ort;
const side = 64;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'musubi-loaded-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** Operators and weights of a graph as ONNX Runtime writes it once it has folded its constants. */
async function optimized(graph: Graph) {
  const [before, after] = [join(folder, 'before.onnx'), join(folder, 'after.onnx')];
  await writeFile(join(folder, 'weights'), new Uint8Array(2 * side * side));
  await writeFile(before, encodeModel(graph));
  const session = await InferenceSession.create(before, {
    executionProviders: ['cpu'],
    graphOptimizationLevel: 'basic',
    optimizedModelFilePath: after,
    extra: { session: { optimized_model_external_initializers_file_name: 'weights-after' } },
  });
  await session.release();
  const { nodes, initializers } = decodeModel(await readFile(after));
  const weights = initializers.filter(({ shape }) => shape.length === 2);
  return { operators: nodes.map(({ op }) => op), bytes: weightBytes({ initializers: weights }) };
}

test.each([
  ['a weight that is read as it is and transposed', false, 2 * 4],
  ['one that waits for its product', true, 2],
])('%s is what ONNX Runtime makes of it', async (_, waits, bytesOfNumber) => {
  const graph = new Graph('products');
  const x = graph.input('x', 'float32', ['S', side]);
  const range = { location: 'weights', offset: 0, length: 2 * side * side };
  const stored = graph.external('w', 'bfloat16', [side, side], range);
  const wide = cast(waits ? gate(stored, [x]) : stored, 'float32');
  graph.output('y', matmul(matmul(x, transpose(wide, [1, 0])), wide));

  const loaded = loadedGraph(graph);
  const weights = loaded.initializers.filter(({ shape }) => shape.length === 2);
  const { operators, bytes } = await optimized(graph);
  expect(bytes).toBe(bytesOfNumber * side * side);
  expect(weightBytes({ initializers: weights })).toBe(bytes);
  expect(loaded.nodes.filter(({ op }) => op === 'Transpose' || op === 'MatMul').map(({ op }) => op)).toEqual(
    operators.filter((op) => op === 'Transpose' || op === 'MatMul'),
  );
});
