import { Graph, add, chunk, layerNorm, matmul, reshape, transpose } from '../src/index.ts';

/** A small graph with a bit of everything that a model file holds. */
export function exampleGraph(): Graph {
  const graph = new Graph('example');
  graph.metadata['origin'] = 'test';
  const x = graph.input('x', 'float32', ['B', 'S', 64]);
  const w = graph.external('w', 'bfloat16', [64, 8], { location: 'dit.safetensors', offset: 13, length: 1024 });
  const [y] = graph.within('block', () => graph.node('Cast', [w], { to: 1 }));
  const [left] = chunk(reshape(layerNorm(matmul(x, y ?? w), 1e-6), ['B*S', 2, 4]), 2, 1);
  graph.output('y', add(transpose(left, [2, 0, 1]), 0.5));
  graph.output('copy of x', x);
  return graph;
}
