import { expect, test } from 'vitest';

import { decodeModel, encodeModel } from '../src/index.ts';
import { interpret } from './interpreter/index.ts';
import { runOnRuntime } from './on-runtime.ts';
import { randomGraph } from './random-graph.ts';

const seeds = Array.from({ length: 60 }, (_, i) => i);

test.each(seeds)('random graph %i computes what ONNX Runtime computes, in the inferred shapes', async (seed) => {
  const { graph, feeds } = randomGraph(seed);
  const computed = interpret(graph, feeds);
  const expected = await runOnRuntime(graph, feeds);
  for (const { name } of graph.outputs) {
    expect(computed[name]?.shape).toEqual(expected[name]?.shape);
    expect(expected[name]?.data).toBeAllClose(computed[name]?.data ?? [], { rtol: 1e-5, atol: 1e-5 });
  }
});

test.each(seeds)('random graph %i is the same after encoding and decoding', (seed) => {
  const { graph, feeds } = randomGraph(seed, 20);
  const bytes = encodeModel(graph);
  const again = decodeModel(bytes);
  expect(encodeModel(again)).toEqual(bytes);
  expect(again.nodes.map((n) => n.scope).slice(0, graph.nodes.length)).toEqual(graph.nodes.map((n) => n.scope));

  const [before, after] = [interpret(graph, feeds), interpret(again, feeds)];
  for (const { name } of graph.outputs) {
    // float attributes are float32 in the file
    expect(after[name]?.data).toBeAllClose(before[name]?.data ?? [], { rtol: 1e-6, atol: 1e-6 });
  }
});

test.each([1, 2, 3])('building graph %i twice gives the same bytes', (seed) => {
  expect(encodeModel(randomGraph(seed).graph)).toEqual(encodeModel(randomGraph(seed).graph));
});
