import { describe, expect, test } from 'vitest';

import type { DataType, TypedArray } from './dtype.ts';

import {
  Graph,
  add,
  chunk,
  decodeModel,
  encodeModel,
  inlineLimitBytes,
  matmul,
  mul,
  reshape,
  rewriteGraph,
} from './index.ts';

test('a wrong shape fails on the line that wrote it, with both shapes', () => {
  const graph = new Graph('example');
  const x = graph.input('x', 'float32', ['B', 'S', 64]);
  const w = graph.input('w', 'float32', [32, 64]);

  expect(() => matmul(x, w)).toThrow('MatMul of x [B, S, 64] and w [32, 64]: inner lengths 64 and 32 differ');
  expect(() => add(x, w)).toThrow(/axis -2 has S and 32/);
  expect(graph.nodes).toEqual([]);
});

test('symbols survive flattening and splitting into heads', () => {
  const graph = new Graph('example');
  const x = graph.input('x', 'float32', ['B', 'S', 64]);

  expect(reshape(x, ['B*S', 64]).shape).toEqual(['B*S', 64]);
  expect(reshape(reshape(x, ['B*S', 64]), ['B', 'S', 4, 16]).shape).toEqual(['B', 'S', 4, 16]);
  expect(() => reshape(x, ['B', 'S', 65])).toThrow('has another size');
  expect(chunk(x, 4).map((v) => v.shape)).toEqual(Array.from({ length: 4 }, () => ['B', 'S', 16]));
});

test('lengths are kept in one spelling', () => {
  const graph = new Graph('example');
  const x = graph.input('x', 'float32', ['S * B', '2*3']);
  expect(x.shape).toEqual(['B*S', 6]);
  expect(add(x, graph.input('y', 'float32', ['B*S', 6])).shape).toEqual(['B*S', 6]);
  expect(() => graph.input('z', 'float32', ['batch size'])).toThrowErrorMatchingInlineSnapshot(
    `[GraphError: z: "batch size" is not a length. Write e.g. B, 2*S or S+1.]`,
  );
  expect(() => graph.input('z', 'float32', [-1])).toThrowErrorMatchingInlineSnapshot(
    `[GraphError: z: -1 is not a length. Lengths are integers of at least 0.]`,
  );
});

const float = (...values: number[]) =>
  ({ dtype: 'float32', shape: [values.length], data: Float32Array.from(values) }) as const;

describe('constants', () => {
  test('are shared when equal in dtype, shape and every bit', () => {
    const graph = new Graph('example');
    const x = graph.constant(float(1, 2));
    expect(graph.constant(float(1, 2))).toBe(x);
    expect(graph.constant(float(1, 3))).not.toBe(x);
    expect(graph.constant({ ...float(1, 2), shape: [2, 1] })).not.toBe(x);
    expect(graph.constant({ dtype: 'float64', shape: [2], data: Float64Array.of(1, 2) })).not.toBe(x);
    expect(graph.constant(float(0))).not.toBe(graph.constant(float(-0)));
    expect(graph.constant(float(NaN))).toBe(graph.constant(float(NaN)));
    expect(graph.constant(float(1, 2), 'named')).not.toBe(x);
    expect(graph.initializers).toHaveLength(8);
  });

  test('do not change with the array they were made from', () => {
    const graph = new Graph('example');
    const values = float(1, 2);
    const x = graph.constant(values);
    values.data[0] = 5;
    expect(x.data?.data).toEqual(Float32Array.of(1, 2));
    expect(graph.constant(float(1, 2))).toBe(x);
  });

  test('hold at most 1 KB', () => {
    const graph = new Graph('example');
    const fits = inlineLimitBytes / 4;
    expect(graph.constant(float(...Array<number>(fits).fill(0))).shape).toEqual([fits]);
    expect(() => graph.constant(float(...Array<number>(fits + 1).fill(0)))).toThrowErrorMatchingInlineSnapshot(
      `[GraphError: const/float32: 1028 bytes inline, at most 1024. Refer to a file with graph.external, feed it as an input, or compute it.]`,
    );
  });

  test('must hold what their dtype and shape say', () => {
    const graph = new Graph('example');
    const make = (dtype: DataType, shape: number[], data: TypedArray) => () =>
      graph.constant({ dtype, shape, data }, 'c');
    expect(make('float32', [3], Float32Array.of(1, 2))).toThrowErrorMatchingInlineSnapshot(
      `[GraphError: c: 2 elements for [3]. Give one each.]`,
    );
    expect(make('float32', [1], Int32Array.of(1))).toThrowErrorMatchingInlineSnapshot(
      `[GraphError: c: Int32Array for float32. Use a Float32Array.]`,
    );
    expect(make('bfloat16', [1], Float32Array.of(1))).toThrowErrorMatchingInlineSnapshot(
      `[GraphError: c: Float32Array for bfloat16. Use a Uint16Array.]`,
    );
    expect(make('int64', [-1, -1], BigInt64Array.of(1n))).toThrowErrorMatchingInlineSnapshot(
      `[GraphError: c: -1 is not a length. Lengths are integers of at least 0.]`,
    );
  });

  test('are made again after a rewrite dropped them', () => {
    const source = new Graph('example');
    const x = source.input('x', 'float32', [2]);
    source.output('y', add(mul(x, 3), 1));
    const { graph } = rewriteGraph(source, (node, { target, map }) =>
      node.op === 'Add' ? [add(map(x), 1)] : (target.constant(float(3)), undefined),
    );
    expect(graph.initializers.map((v) => v.data?.data[0])).toEqual([1]);

    graph.output('z', mul(graph.inputs[0] ?? x, 3));
    expect(decodeModel(encodeModel(graph)).initializers).toHaveLength(2);
  });
});

describe('names', () => {
  test('count up within their scope', () => {
    const graph = new Graph('example');
    const x = graph.input('x', 'float32', [4]);
    const outer = add(x, x);
    const [inner, nested] = graph.within('blocks.0', () => [add(x, x), graph.within('attn', () => add(x, x))]);
    const exact = graph.withScope('head', () => add(x, x));
    expect([outer, inner, nested, exact, add(x, x)].map((v) => v?.name)).toEqual([
      'Add_1',
      'blocks.0/Add_1',
      'blocks.0/attn/Add_1',
      'head/Add_1',
      'Add_2',
    ]);
    expect(graph.nodes.map((n) => n.scope)).toEqual(['', 'blocks.0', 'blocks.0/attn', 'head', '']);
    expect(graph.find('blocks.0/attn/Add_1')).toBe(nested);
    expect(graph.find('nothing')).toBeUndefined();
  });

  test('the scope ends also when building throws', () => {
    const graph = new Graph('example');
    const build = () =>
      graph.within('block', () => {
        throw new Error('stop');
      });
    expect(build).toThrow('stop');
    expect(graph.scope).toBe('');
  });

  test('are taken once, by values and outputs alike', () => {
    const graph = new Graph('example');
    const x = graph.input('x', 'float32', [4]);
    const y = add(x, x);
    graph.output('loss', y);
    expect(() => graph.input('x', 'float32', [4])).toThrowErrorMatchingInlineSnapshot(
      `[GraphError: x: this name is taken. Choose another name.]`,
    );
    expect(() => graph.input('Add_1', 'float32', [4])).toThrow('Add_1: this name is taken.');
    expect(() => graph.input('loss', 'float32', [4])).toThrow('loss: this name is taken.');
    expect(() => graph.output('loss', x)).toThrowErrorMatchingInlineSnapshot(
      `[GraphError: loss: there is an output of this name. Choose another name.]`,
    );
    expect(() => graph.output('x', x)).toThrow('x: this name is taken.');
    expect(() => graph.output('x', y)).toThrow('x: this name is taken.');
    expect(() => graph.input('', 'float32', [4])).toThrowErrorMatchingInlineSnapshot(
      `[GraphError: graph: a name is empty. Give it one.]`,
    );
    graph.output('Add_1', y);
    expect(graph.outputs.map((o) => o.name)).toEqual(['loss', 'Add_1']);
  });

  test('of unnamed nodes avoid those that are taken or reserved', () => {
    const graph = new Graph('example');
    const x = graph.input('Add_1', 'float32', [4]);
    graph.reserve(['Add_2']);
    expect(add(x, x).name).toBe('Add_3');
  });
});

test('values of another graph are refused', () => {
  const graph = new Graph('example');
  const x = graph.input('x', 'float32', [4]);
  const other = new Graph('other').input('y', 'float32', [4]);
  expect(() => add(x, other)).toThrowErrorMatchingInlineSnapshot(
    `[GraphError: Add_1: input y is of another graph. Use one graph.]`,
  );
  expect(() => graph.output('z', other)).toThrowErrorMatchingInlineSnapshot(
    `[GraphError: z: y is of another graph. Use one graph.]`,
  );
});

test('a weight in a file must have the bytes of its shape', () => {
  const graph = new Graph('example');
  const at = { location: 'dit.safetensors', offset: 13, length: 1024 };
  expect(graph.external('w', 'bfloat16', [64, 8], at).external).toEqual(at);
  expect(() => graph.external('v', 'bfloat16', [64, 9], at)).toThrowErrorMatchingInlineSnapshot(
    `[GraphError: v: bfloat16 [64, 9] takes 1152 bytes, the file's range has 1024. Check the offset and length given for it.]`,
  );
  expect(() => graph.external('v', 'bfloat16', [64, 8], { ...at, offset: -1 })).toThrowErrorMatchingInlineSnapshot(
    `[GraphError: v: offset -1. Offsets are bytes from 0.]`,
  );
});

test('a graph that uses a dropped value is not written', () => {
  const graph = new Graph('example');
  const y = add(graph.input('x', 'float32', [4]), 1);
  graph.output('y', y);
  graph.nodes.length = 0;
  expect(() => encodeModel(graph)).toThrowErrorMatchingInlineSnapshot(
    `[GraphError: y: Add_1 is not in the graph before it. Add its node first.]`,
  );
});
