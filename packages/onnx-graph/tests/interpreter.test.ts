import { describe, expect, test } from 'vitest';

import type { Value } from '../src/index.ts';

import { Graph, add, cast, concat, matmul, mul, operators, reshape, slice, softmax, sub } from '../src/index.ts';
import {
  createRandom,
  erf,
  implementations,
  interpret,
  interpretAll,
  randomTensor,
  tensor,
} from './interpreter/index.ts';

test.each(Object.keys(operators))('has %s', (op) => {
  expect(implementations).toHaveProperty(op);
});

test('implements nothing beyond the table', () => {
  expect(Object.keys(implementations).toSorted()).toEqual(Object.keys(operators).toSorted());
});

test.each([
  [0.1, 0.1124629160182849],
  [0.5, 0.5204998778130465],
  [1, 0.8427007929497149],
  [2, 0.9953222650189527],
  [2.9, 0.9999589021219005],
  [3.25, 0.9999956972205363],
  [5, 0.9999999999984626],
  [-1, -0.8427007929497149],
])('erf(%d)', (x, expected) => {
  expect(erf(x)).toBeAllClose(expected, { atol: 3e-15 });
});

test('evaluates a small graph as by hand', () => {
  const graph = new Graph('example');
  const x = graph.input('x', 'float32', ['B', 2]);
  const w = graph.external('w', 'bfloat16', [2, 3], { location: 'a.safetensors', offset: 0, length: 12 });
  graph.output('y', add(matmul(x, cast(w, 'float32')), 1));

  const weights = new Map([['w', tensor([2, 3], [1, 2, 3, 4, 5, 6])]]);
  const external = ({ name }: Value) => weights.get(name) ?? tensor([0], []);
  const { outputs, values, symbols } = interpretAll(graph, { x: tensor([1, 2], [10, 1]) }, { external });

  expect(outputs['y']).toEqual(tensor([1, 3], [15, 26, 37]));
  expect(values.get('MatMul_1')).toEqual(tensor([1, 3], [14, 25, 36]));
  expect(symbols).toEqual(new Map([['B', 1]]));
});

test('softmax does not overflow and works along any axis', () => {
  const graph = new Graph('example');
  const x = graph.input('x', 'float32', [2, 3]);
  graph.output('rows', softmax(x));
  graph.output('columns', softmax(x, 0));
  const { rows, columns } = interpret(graph, { x: tensor([2, 3], [1000, 1000, -1000, 0, 0, 0]) });
  expect(rows?.data).toBeAllClose([0.5, 0.5, 0, 1 / 3, 1 / 3, 1 / 3], { rtol: 1e-15 });
  expect(columns?.data).toBeAllClose([1, 1, 0, 0, 0, 1], { atol: 1e-300 });
});

test('integers divide, wrap and convert like their dtype', () => {
  const graph = new Graph('example');
  const x = graph.input('x', 'float32', [4]);
  graph.output('int', cast(x, 'int32'));
  graph.output('byte', sub(cast(x, 'uint8'), cast(mul(x, 2), 'uint8')));
  graph.output('truth', cast(x, 'bool'));
  const { int, byte, truth } = interpret(graph, { x: tensor([4], [0, 1.7, 3, 4]) });
  expect(int?.data).toBeAllClose([0, 1, 3, 4]);
  expect(byte?.data).toBeAllClose([0, 254, 253, 252]);
  expect(truth?.data).toBeAllClose([0, 1, 1, 1]);
});

describe('what does not fit is an error', () => {
  const graph = new Graph('example');
  const x = graph.input('x', 'float32', ['B', 'S']);
  const y = graph.input('y', 'float32', ['S', 'B*S']);
  graph.output('z', concat([reshape(x, ['B*S']), reshape(slice(y, 0, 0, 1), ['B*S'])], 0));
  const random = createRandom(1);
  const feed = (...shape: number[]) => randomTensor(random, shape);

  test('the feeds that fit give the output', () => {
    expect(interpret(graph, { x: feed(2, 3), y: feed(3, 6) })['z']?.shape).toEqual([12]);
  });

  test.each([
    [
      'a symbol with two lengths',
      { x: feed(2, 3), y: feed(4, 6) },
      'y is [4, 6] with 24 numbers, the graph says [S, B*S] where B=2, S=3',
    ],
    [
      'a product that differs',
      { x: feed(2, 3), y: feed(3, 5) },
      'y is [3, 5] with 15 numbers, the graph says [S, B*S] where B=2, S=3',
    ],
    ['a missing feed', { x: feed(2, 3) }, 'no numbers for input y'],
    ['a feed of no input', { x: feed(2, 3), y: feed(3, 6), z: feed(1) }, 'the graph has no input z'],
    [
      'data of another length',
      { x: feed(2, 3), y: { shape: [3, 6], data: new Float64Array(3) } },
      'y is [3, 6] with 3 numbers',
    ],
  ])('%s', (_, feeds, message) => {
    expect(() => interpret(graph, feeds)).toThrow(message);
  });

  test('an inferred shape that is wrong', () => {
    const wrong = new Graph('wrong');
    const a = wrong.input('a', 'float32', [2, 3]);
    const shape = wrong.input('shape', 'int64', [2]);
    const [b] = wrong.node('Reshape', [a, shape], {}, { types: [{ dtype: 'float32', shape: [3, 2] }] });
    wrong.output('b', b ?? a);
    expect(() => interpret(wrong, { a: feed(2, 3), shape: tensor([2], [6, 1]) })).toThrow(
      'Reshape_1 is [6, 1] with 6 numbers, the graph says [3, 2]',
    );
  });
});
