import { Graph, cast, gate, matmul, transpose } from '@musubi/onnx-graph';
import { expect, test } from 'vitest';

import { foldedBytes, loadedGraph, weightBytes } from './loaded-graph.ts';

/** A graph of products with a bfloat16 weight of 8 x 8 numbers. */
function graphWith(build: (graph: Graph, x: ReturnType<Graph['input']>, w: ReturnType<Graph['input']>) => void): Graph {
  const graph = new Graph('products');
  const w = graph.external('w', 'bfloat16', [8, 8], { location: 'dit', offset: 0, length: 128 });
  build(graph, graph.input('x', 'float32', ['S', 8]), w);
  return graph;
}

test('a weight that is widened is there as float32 alone', () => {
  const graph = graphWith((g, x, w) => g.output('y', matmul(x, cast(w, 'float32'))));
  const loaded = loadedGraph(graph);
  expect([weightBytes(graph), weightBytes(loaded), foldedBytes(loaded)]).toEqual([128, 256, 256]);
  expect(loaded.nodes.map(({ op }) => op)).toEqual(['MatMul']);
  expect(foldedBytes(graph)).toBe(0);
});

test('one that is also read in another form is there in both', () => {
  const graph = graphWith((g, x, w) => {
    const wide = cast(w, 'float32');
    g.output('y', matmul(matmul(x, wide), transpose(wide, [1, 0])));
  });
  expect(weightBytes(loadedGraph(graph))).toBe(512);
});

test('one that waits stays as it is stored', () => {
  const graph = graphWith((g, x, w) => g.output('y', matmul(x, cast(gate(w, [x]), 'float32'))));
  const loaded = loadedGraph(graph);
  expect(loaded.nodes.map(({ op }) => op)).toContain('Cast');
  expect(loaded.initializers.filter(({ external }) => external).map(({ name }) => name)).toEqual(['w']);
});
