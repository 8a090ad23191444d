import { describe, expect, test } from 'vitest';

import type { Operand, Shape, Value } from './index.ts';

import { createRandom, interpret, randomTensor } from '../tests/interpreter/index.ts';
import { runOnRuntime } from '../tests/on-runtime.ts';
import {
  Graph,
  add,
  apply,
  cast,
  conv,
  createParams,
  elementCountValue,
  embedding,
  evaluateDim,
  expand,
  full,
  fullLike,
  greater,
  linear,
  mT,
  mul,
  quickGelu,
  reduceL2,
  reshape,
  silu,
  slice,
  sliceAt,
  split,
  sub,
  upsampleNearest,
  where,
} from './index.ts';

const lengths = new Map([
  ['B', 2],
  ['S', 5],
  ['h', 3],
  ['w', 2],
]);

/** Builds `f` of an input of that shape and runs it both ways; `B` and `S` are bound by a second input. */
async function run(shape: Shape, f: (x: Value) => Value) {
  const graph = new Graph('example');
  const x = graph.input('x', 'float32', shape);
  const symbols = graph.input('symbols', 'float32', ['B', 'S']);
  graph.output('y', f(x));
  graph.output('used', symbols);
  const random = createRandom(1);
  const make = (s: Shape) => {
    const { data } = randomTensor(
      random,
      s.map((d) => evaluateDim(d, lengths)),
    );
    return { shape: s.map((d) => evaluateDim(d, lengths)), data: data.map(Math.fround) };
  };
  const feeds = { x: make(shape), symbols: make(['B', 'S']) };
  const computed = interpret(graph, feeds)['y'];
  const expected = (await runOnRuntime(graph, feeds))['y'];
  expect(computed?.shape).toEqual(expected?.shape);
  expect(expected?.data).toBeAllClose(computed?.data ?? [], { rtol: 1e-6, atol: 1e-6 });
  return { graph, feeds, y: expected };
}

describe('reshape', () => {
  test.each<[Shape, Shape, number[] | 'computed']>([
    [
      [2, 6],
      [3, 4],
      [3, 4],
    ],
    [
      ['B', 6],
      ['B', 2, 3],
      [0, 2, 3],
    ],
    [
      ['B', 'S', 6],
      ['B', 'S', 2, 3],
      [0, 0, 2, 3],
    ],
    [
      ['B', 'S', 6],
      ['B*S', 6],
      [-1, 6],
    ],
    [
      ['B', 'S', 6],
      ['S*B', 6],
      [-1, 6],
    ],
    [
      ['B', 'S', 6],
      [6, 'B*S'],
      [6, -1],
    ],
    [
      ['B', 'S', 6],
      ['B', '6*S'],
      [0, -1],
    ],
    [['B', 'S', 6], ['6*B*S'], [-1]],
    [
      ['B', 'S', 6],
      [6, 'S', 'B'],
      [6, 0, -1],
    ],
    [['B*S', 6], ['B', 'S', 6], 'computed'],
    [['B', 'S', 6], ['S', 'B', 6], 'computed'],
    [['B*S+B', 6], ['B', 'S+1', 6], 'computed'],
    [['2*S', 'B'], [2, 'S', 'B'], 'computed'],
    [['6*h', 'B', '8*w'], [6, 'h', 'w', 8, 'B'], 'computed'],
    [[1, 1], [], []],
    [[], [1, 1], [1, 1]],
    [
      [3, 0],
      [0, 5],
      [0, 5],
    ],
    [['B', 0], [0], [0]],
    [['B', 0], ['S', 0], 'computed'],
  ])('of %j to %j', async (from, to, planned) => {
    const { graph, feeds, y } = await run(from, (x) => reshape(x, to));
    const node = graph.nodes.find((n) => n.op === 'Reshape');
    const target = node?.inputs[1]?.data?.data;
    expect(target ? Array.from(target as BigInt64Array, Number) : 'computed').toEqual(planned);
    expect(y?.data).toEqual(feeds.x.data);
  });

  test('names a symbol that no input binds', () => {
    const x = new Graph('example').input('x', 'float32', ['B*S', 6]);
    expect(() => reshape(x, ['B', 'S', 6])).toThrowErrorMatchingInlineSnapshot(
      `[GraphError: B: no input has an axis of this length. Use the symbols of the inputs.]`,
    );
  });

  test('names a shape of another size', () => {
    const x = new Graph('example').input('x', 'float32', ['B', 6]);
    expect(() => reshape(x, ['B', 7])).toThrowErrorMatchingInlineSnapshot(
      `[GraphError: Reshape_1: Reshape of x [B, 6] and const/int64_1 [2]: [B, 7] has another size. Mend the shapes on this line.]`,
    );
  });
});

describe('numbers beside tensors', () => {
  test.each(['float32', 'float64', 'float16', 'int64', 'int32'] as const)('take the dtype %s', async (dtype) => {
    const { y, feeds } = await run(['B', 3], (x) => cast(add(cast(mul(x, 8), dtype), 2), 'float32'));
    const isWhole = dtype.startsWith('int');
    const expected = feeds.x.data.map((v) => (isWhole ? Math.trunc(v * 8) : v * 8) + 2);
    expect(y?.data).toBeAllClose(expected, { atol: 2 ** -8 });
  });

  test('may stand on either side', async () => {
    const { y, feeds } = await run([4], (x) => sub(1, where(greater(0, x), 0, x)));
    expect(y?.data).toBeAllClose(
      feeds.x.data.map((v) => 1 - Math.max(v, 0)),
      { atol: 1e-6 },
    );
  });

  test('cannot be fractions of integers, or alone', () => {
    const graph = new Graph('example');
    const i = graph.input('i', 'int64', [2]);
    expect(() => add(i, 0.5)).toThrowErrorMatchingInlineSnapshot(
      `[GraphError: graph: 0.5 is not an integer. Axes, bounds and numbers beside integer tensors are.]`,
    );
    const alone: Operand[] = [1, 2];
    expect(() => apply('Add', alone)).toThrowErrorMatchingInlineSnapshot(
      `[GraphError: Add: all operands are numbers. Compute it in TypeScript.]`,
    );
  });
});

const expandTo = (x: Value) => expand(reshape(x, ['B', 1, 3]), ['B', 'S', 3]);

describe('tensors made at run time', () => {
  test('full has the value and a symbolic shape', async () => {
    const { y } = await run(['B', 3], (x) => add(full(x.graph, ['B', 'S', 3], 2.5), mul(expandTo(x), 0)));
    expect(y).toEqual({ shape: [2, 5, 3], data: new Float64Array(30).fill(2.5) });
  });

  test('fullLike has the dtype of its model', () => {
    const x = new Graph('example').input('x', 'float64', ['B', 3]);
    expect(fullLike(x, 0)).toMatchObject({ dtype: 'float64', shape: ['B', 3] });
  });

  test.each<[Shape, number]>([
    [['B', 'S', 3], 30],
    [['B+S', 'B'], 14],
    [[3, 4], 12],
    [['S-B'], 3],
  ])('elementCountValue of %j is %d', async (shape, count) => {
    const { y } = await run([1], (x) => elementCountValue(x.graph, shape, 'float32'));
    expect(y).toEqual({ shape: [], data: Float64Array.of(count) });
  });
});

describe('pieces', () => {
  test('slice counts from both ends', async () => {
    const { y, feeds } = await run([6, 'B'], (x) => slice(x, 0, -2));
    expect(y?.data).toEqual(feeds.x.data.slice(8));
  });

  test('sliceAt takes symbolic bounds', async () => {
    const { y, feeds } = await run(['B+S', 3], (x) => sliceAt(x, 0, 'B', 'S'));
    expect(y).toEqual({ shape: [5, 3], data: feeds.x.data.slice(6) });
  });

  test('split returns one piece a size, also an empty one', () => {
    const x = new Graph('example').input('x', 'float32', ['B', 6]);
    expect(split(x, [1, 0, 5]).map((v) => v.shape)).toEqual([
      ['B', 1],
      ['B', 0],
      ['B', 5],
    ]);
  });

  test('mT needs two axes', () => {
    const x = new Graph('example').input('x', 'float32', ['B']);
    expect(() => mT(x)).toThrowErrorMatchingInlineSnapshot(
      `[GraphError: Transpose_1: Transpose of x [B]: perm [0, -1] is not a permutation of its axes. Mend the shapes on this line.]`,
    );
  });

  test('bounds are integers', () => {
    const x = new Graph('example').input('x', 'float32', ['B']);
    expect(() => slice(x, 0, NaN)).toThrowErrorMatchingInlineSnapshot(
      `[GraphError: graph: NaN is not an integer. Axes, bounds and numbers beside integer tensors are.]`,
    );
  });
});

describe('pictures', () => {
  test('conv pads, strides and adds a bias', async () => {
    const { y } = await run(['B', 2, '2*S', 6], (x) =>
      conv(x, full(x.graph, [3, 2, 3, 3], 0.5), full(x.graph, [3], 1), { pads: [0, 0, 1, 1], strides: [2, 2] }),
    );
    expect(y?.shape).toEqual([2, 3, 5, 3]);
  });

  test('conv has groups', async () => {
    const { y, feeds } = await run(['B', 2, 'S'], (x) => conv(x, full(x.graph, [2, 1, 1], 3), null, { groups: 2 }));
    expect(y?.data).toBeAllClose(
      feeds.x.data.map((v) => 3 * v),
      { rtol: 1e-6 },
    );
  });

  test('upsampleNearest repeats rows and columns', async () => {
    const { y, feeds } = await run([1, 1, 2, 2], (x) => upsampleNearest(x, 2));
    const [a, b, c, d] = feeds.x.data;
    expect([...(y?.data ?? [])]).toEqual([a, a, b, b, a, a, b, b, c, c, d, d, c, c, d, d]);
  });

  test('reduceL2 is a length', async () => {
    const { y, feeds } = await run([2, 'S'], (x) => reduceL2(x, [0]));
    const { data } = feeds.x;
    expect(y).toEqual({ shape: [1, 5], data: expect.anything() });
    expect(y?.data).toBeAllClose(
      Array.from({ length: 5 }, (_, i) => Math.hypot(data[i] ?? NaN, data[i + 5] ?? NaN)),
      { rtol: 1e-6 },
    );
  });

  test('quickGelu with alpha 1 is silu', async () => {
    const { y } = await run(['B', 3], (x) => sub(quickGelu(x, 1), silu(x)));
    expect(y?.data).toBeAllClose(new Float64Array(6), { atol: 1e-7 });
  });
});

const stored = (shape: number[], offset: number) => ({
  dtype: 'bfloat16' as const,
  shape,
  external: { location: 'dit.safetensors', offset, length: 2 * shape.reduce((a, b) => a * b, 1) },
});

describe('parameters', () => {
  const weights = new Map([
    ['blocks.0.attn.q.weight', stored([4, 3], 0)],
    ['blocks.0.attn.q.bias', stored([4], 24)],
    ['blocks.0.attn.o.weight', stored([3, 4], 32)],
  ]);

  test('carry the names of the checkpoint, widened to float32, once each', () => {
    const graph = new Graph('example');
    const p = createParams(graph, (name) => weights.get(name))
      .at('blocks')
      .at(0)
      .at('attn');
    const x = graph.input('x', 'float32', ['B', 3]);
    const y = linear(linear(x, p.at('q'), 3, 4), p.at('o'), 4, 3);
    expect(y.shape).toEqual(['B', 3]);
    expect(p.path).toBe('blocks.0.attn');
    expect(p.tensor('q.weight', [4, 3])).toBe(p.at('q').tensor('weight', [4, 3]));
    expect(graph.initializers.filter((v) => v.external).map((v) => [v.name, v.dtype])).toEqual(
      [...weights.keys()].map((name) => [name, 'bfloat16']),
    );
  });

  test('of an embedding are picked before they are widened', () => {
    const graph = new Graph('example');
    const ids = graph.input('ids', 'int64', ['B', 'T']);
    const rows = embedding(ids, createParams(graph, (name) => weights.get(name)).at('blocks.0.attn.q'), 4, 3);

    expect([rows.dtype, rows.shape]).toEqual(['float32', ['B', 'T', 3]]);
    expect(graph.nodes.map((node) => [node.op, node.outputs[0]?.dtype])).toEqual([
      ['Gather', 'bfloat16'],
      ['Cast', 'float32'],
    ]);
  });

  test('must exist and have the shape that the model needs', () => {
    const p = createParams(new Graph('example'), (name) => weights.get(name)).at('blocks.0.attn');
    expect(() => p.tensor('k.weight', [4, 3])).toThrowErrorMatchingInlineSnapshot(
      `[GraphError: blocks.0.attn.k.weight: the checkpoint has no such weight. Is it another model?]`,
    );
    expect(() => p.tensor('q.weight', [3, 4])).toThrowErrorMatchingInlineSnapshot(
      `[GraphError: blocks.0.attn.q.weight: the checkpoint has [4, 3], the model needs [3, 4]. Is it another model, or is the configuration wrong?]`,
    );
    p.tensor('q.weight', [4, 3]);
    expect(() => p.tensor('q.weight', [3, 4])).toThrow(expect.objectContaining({ code: 'SHAPE_MISMATCH' }));
  });
});
