import { expect, test } from 'vitest';

import { Graph, add, chunk, decodeModel, encodeModel, matmul, reshape } from './index.ts';

test('a wrong shape fails on the line that wrote it, with both shapes', () => {
  const graph = new Graph('example');
  const x = graph.input('x', 'float32', ['B', 'S', 64]);
  const w = graph.input('w', 'float32', [32, 64]);

  expect(() => matmul(x, w)).toThrow('MatMul of x [B, S, 64] and w [32, 64]: inner lengths 64 and 32 differ');
  expect(() => add(x, w)).toThrow(/axis -2 has S and 32/);
});

test('symbols survive flattening and splitting into heads', () => {
  const graph = new Graph('example');
  const x = graph.input('x', 'float32', ['B', 'S', 64]);

  expect(reshape(x, ['B*S', 64]).shape).toEqual(['B*S', 64]);
  expect(reshape(reshape(x, ['B*S', 64]), ['B', 'S', 4, 16]).shape).toEqual(['B', 'S', 4, 16]);
  expect(() => reshape(x, ['B', 'S', 65])).toThrow('has another size');
  expect(chunk(x, 4).map((v) => v.shape)).toEqual(Array.from({ length: 4 }, () => ['B', 'S', 16]));
});

test('a model decodes to the graph that was encoded', () => {
  const graph = new Graph('example');
  const x = graph.input('x', 'float32', ['B', 'S', 64]);
  const w = graph.external('w', 'bfloat16', [64, 8], { location: 'dit.safetensors', offset: 13, length: 1024 });
  const [y] = graph.within('block', () => graph.node('Cast', [w], { to: 1 }));
  graph.output('y', matmul(x, y ?? w));
  graph.output('copy of x', x);

  const bytes = encodeModel(graph);
  const again = decodeModel(bytes);

  expect(encodeModel(again)).toEqual(bytes);
  expect(again.initializers[0]?.external).toEqual({ location: 'dit.safetensors', offset: 13, length: 1024 });
  expect(again.nodes[0]?.scope).toBe('block');
});
