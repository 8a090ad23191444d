import type { Attributes, DataType, Dim, HostTensor, Value } from '../src/index.ts';
import type { Tensor64 } from './interpreter/index.ts';

import { Graph, cast, evaluateDim, int64s, onnxCode, scalar, slice } from '../src/index.ts';
import { createRandom, randomTensor } from './interpreter/index.ts';

/** A small graph under construction together with random numbers for its inputs. */
export interface Case {
  readonly graph: Graph;
  readonly feeds: Record<string, Tensor64>;
  /** A float32 input, uniform in [from, to); symbols get random lengths, the same one for all inputs of a case. */
  float(shape: readonly Dim[], from?: number, to?: number, dtype?: DataType): Value;
  /** An integer or bool input in from … to − 1. */
  integer(dtype: DataType, shape: readonly Dim[], from: number, to: number): Value;
  /** Adds a node with one output. */
  node(op: string, inputs: readonly (Value | null)[], attributes?: Attributes): Value;
  nodes(op: string, inputs: readonly (Value | null)[], attributes: Attributes, outputs: number): Value[];
  axes(...values: number[]): Value;
}

export type Build = (c: Case) => Value | Value[];

export function createCase(seed: number, build: Build): Case {
  const random = createRandom(seed);
  const graph = new Graph('case');
  const symbols = new Map(['B', 'S', 'T'].map((symbol) => [symbol, 1 + Math.floor(4 * random())]));
  const feeds: Record<string, Tensor64> = {};
  const input = (dtype: DataType, shape: readonly Dim[], make: (lengths: number[]) => Tensor64) => {
    const name = `x${graph.inputs.length}`;
    feeds[name] = make(shape.map((d) => evaluateDim(d, symbols)));
    return graph.input(name, dtype, shape);
  };
  const c: Case = {
    graph,
    feeds,
    float: (shape, from = -2, to = 2, dtype = 'float32') =>
      input(dtype, shape, (lengths) => {
        const { data } = randomTensor(random, lengths, from, to);
        return { shape: lengths, data: dtype === 'float64' ? data : data.map(Math.fround) };
      }),
    integer: (dtype, shape, from, to) =>
      input(dtype, shape, (lengths) => {
        const { data } = randomTensor(random, lengths, from, to);
        return { shape: lengths, data: data.map(Math.floor) };
      }),
    node: (op, inputs, attributes = {}) => c.nodes(op, inputs, attributes, 1)[0] as Value,
    nodes: (op, inputs, attributes, outputs) => graph.node(op, inputs, attributes, { outputs }),
    axes: (...values) => int64s(graph, values),
  };
  [build(c)].flat().forEach((value, i) => graph.output(`y${i}`, value));
  return c;
}

const shapes: Dim[][] = [[], ['B'], ['B', 3], [2, 'S', 'B', 4], [0, 3]];
const pairs: [Dim[], Dim[]][] = [
  [
    ['B', 'S', 4],
    ['B', 'S', 4],
  ],
  [['B', 'S', 4], [4]],
  [
    ['S', 1],
    ['B', 1, 3],
  ],
  [[], [2, 'B']],
  [[1], []],
  [
    [0, 3],
    [1, 3],
  ],
];

const unary =
  (from = -2, to = 2) =>
  (op: string): Build[] =>
    shapes.map((shape) => (c) => c.node(op, [c.float(shape, from, to)]));

const binary =
  (from = -2, to = 2) =>
  (op: string): Build[] =>
    pairs.map(
      ([a, b]) =>
        (c) =>
          c.node(op, [c.float(a, from, to), c.float(b, from, to)]),
    );

const integers =
  (dtypes: readonly DataType[], from = -9, to = 9) =>
  (op: string): Build[] =>
    dtypes.map(
      (dtype) => (c) => c.node(op, [c.integer(dtype, ['B', 5], from, to), c.integer(dtype, ['S', 1, 1], from, to)]),
    );

const doubles = (op: string): Build[] => [
  (c) => c.node(op, [c.float(['B', 3], 0.5, 2, 'float64'), c.float([3], 0.5, 2, 'float64')]),
];

const both =
  (...families: ((op: string) => Build[])[]) =>
  (op: string): Build[] =>
    families.flatMap((family) => family(op));

const arithmetic = both(binary(), doubles, integers(['int32', 'int64']));
const compare = both(binary(), integers(['int32', 'int64'], -2, 2));
const variadic = (op: string): Build[] => [
  (c) => c.node(op, [c.float(['B', 3])]),
  (c) => c.node(op, [c.float(['B', 1]), c.float([3]), c.float(['S', 1, 1])]),
];
const logical = (op: string): Build[] =>
  pairs.map(
    ([a, b]) =>
      (c) =>
        c.node(op, [c.integer('bool', a, 0, 2), c.integer('bool', b, 0, 2)]),
  );

const reduction = (op: string): Build[] => [
  (c) => c.node(op, [c.float(['B', 3, 'S'])]),
  (c) => c.node(op, [c.float(['B', 3, 'S'])], { keepdims: 0 }),
  (c) => c.node(op, [c.float(['B', 3, 'S']), c.axes(-1)]),
  (c) => c.node(op, [c.float(['B', 3, 'S']), c.axes(0, 2)], { keepdims: 0 }),
  (c) => c.node(op, [c.float(['B', 3, 'S', 2]), c.axes(2, -3)]),
  (c) => c.node(op, [c.float(['B', 3]), c.axes()], { noop_with_empty_axes: 1 }),
  (c) => c.node(op, [c.float(['B', 3])], { noop_with_empty_axes: 1 }),
  (c) => c.node(op, [c.float(['B', 3]), c.axes()]),
  (c) => c.node(op, [c.float(['B', 3], -2, 2, 'float64'), c.axes(1)]),
  (c) => c.node(op, [c.integer('int32', ['B', 3], -9, 9), c.axes(1)]),
  (c) => c.node(op, [c.integer('int64', ['B', 3], -9, 9), c.axes(0)]),
];

const matmul = (op: string): Build[] => [
  (c) => c.node(op, [c.float(['B', 3]), c.float([3, 'S'])]),
  (c) => c.node(op, [c.float(['B', 'S', 3]), c.float([3, 4])]),
  (c) => c.node(op, [c.float(['B', 'S', 3]), c.float(['B', 3, 'T'])]),
  (c) => c.node(op, [c.float([2, 1, 'S', 3]), c.float(['B', 3, 2])]),
  (c) => c.node(op, [c.float([1, 3]), c.float(['B', 'S', 3, 2])]),
  (c) => c.node(op, [c.float([0, 3]), c.float([3, 2])]),
  (c) => c.node(op, [c.float(['B', 3], -2, 2, 'float64'), c.float([3, 2], -2, 2, 'float64')]),
];

const fused = (op: string): Build[] => [
  (c) => c.node(op, [c.float([3, 'B']), c.float([3, 'S'])], { transA: 1, alpha: 0.5 }),
  (c) => c.node(op, [c.float(['B', 'S', 3]), c.float(['B', 4, 3])], { transB: 1 }),
  (c) => c.node(op, [c.float(['B', 3, 'S']), c.float([4, 3])], { transA: 1, transB: 1, alpha: -2 }),
  (c) => c.node(op, [c.float([2, 'S', 3]), c.float(['B', 2, 5, 3])], { transB: 1 }),
];

const gemm = (op: string): Build[] => [
  (c) => c.node(op, [c.float(['B', 3]), c.float([3, 4])]),
  (c) => c.node(op, [c.float([3, 'B']), c.float([4, 3]), c.float([4])], { transA: 1, transB: 1, alpha: 2, beta: 0.5 }),
  (c) => c.node(op, [c.float(['B', 3]), c.float([3, 4]), c.float(['B', 1])], { beta: -1 }),
  (c) => c.node(op, [c.float(['B', 3]), c.float([3, 4]), c.float([])]),
  (c) => c.node(op, [c.float(['B', 3]), c.float([3, 'S']), c.float(['B', 'S'])]),
];

const axisOfEach = (op: string): Build[] => [
  (c) => c.node(op, [c.float(['B', 'S', 4])]),
  (c) => c.node(op, [c.float(['B', 'S', 4])], { axis: 1 }),
  (c) => c.node(op, [c.float(['B', 3])], { axis: -2 }),
  (c) => c.node(op, [c.float([3])], { axis: 0 }),
];

const layerNormalization = (op: string): Build[] => [
  (c) => c.nodes(op, [c.float(['B', 'S', 6]), c.float([6]), c.float([6])], { axis: -1, epsilon: 1e-6 }, 3),
  (c) => c.nodes(op, [c.float(['B', 'S', 6]), c.float([6])], { axis: -1 }, 1),
  (c) => c.nodes(op, [c.float(['B', 5, 6]), c.float([5, 6]), c.float([5, 6])], { axis: 1, epsilon: 0.1 }, 3),
  (c) => c.nodes(op, [c.float(['B', 6], -2, 2, 'float64'), c.float([6], -2, 2, 'float64')], { axis: -1 }, 3),
  (c) => c.nodes(op, [c.float(['B', 5, 6]), c.float([6]), c.float([])], { axis: 1 }, 3),
];

const rmsNormalization = (op: string): Build[] => [
  (c) => c.nodes(op, [c.float(['B', 'S', 6]), c.float([6])], { axis: -1, epsilon: 1e-6 }, 2),
  (c) => c.nodes(op, [c.float(['B', 'S', 6]), c.float([6])], { axis: -1 }, 1),
  (c) => c.nodes(op, [c.float(['B', 5, 6]), c.float([5, 6])], { axis: 1, epsilon: 0.1 }, 2),
  (c) => c.nodes(op, [c.float(['B', 6], -2, 2, 'float64'), c.float([6], -2, 2, 'float64')], { axis: -1 }, 2),
  (c) => c.nodes(op, [c.float(['B', 5, 6]), c.float([5, 6])], { axis: 1, epsilon: 0.1 }, 1),
];

const convolutions = (op: string): Build[] => [
  (c) => c.node(op, [c.float(['B', 3, 'S', 'T']), c.float([4, 3, 1, 1])]),
  (c) => c.node(op, [c.float(['B', 3, 'S', 'T']), c.float([4, 3, 3, 3]), c.float([4])], { pads: [1, 1, 1, 1] }),
  (c) => c.node(op, [c.float([1, 2, '2*S', '8*T']), c.float([3, 2, 3, 3])], { pads: [0, 0, 1, 1], strides: [2, 2] }),
  (c) => c.node(op, [c.float([2, 2, 7, 6]), c.float([3, 2, 2, 3])], { pads: [2, 0, 1, 3], strides: [3, 2] }),
  (c) => c.node(op, [c.float(['B', 6, 9, 8]), c.float([4, 3, 3, 2]), c.float([4])], { group: 2, dilations: [2, 3] }),
  (c) => c.node(op, [c.float(['B', 4, '4*S']), c.float([4, 1, 4])], { group: 4, strides: [4], kernel_shape: [4] }),
  (c) =>
    c.node(op, [c.float(['B', 2, 'S', 5, 4]), c.float([3, 2, 3, 2, 1])], {
      pads: [2, 0, 0, 0, 1, 0],
      auto_pad: 'NOTSET',
    }),
  (c) => c.node(op, [c.float([0, 2, 3, 3]), c.float([3, 2, 3, 3])]),
];

const resizes = (op: string): Build[] => {
  const nearest = { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' };
  return [
    [1, 1, 2, 2],
    [1, 1, 1, 3],
    [1, 1, 1, 1],
  ].map((scales) => (c) => {
    const data = Float32Array.from(scales);
    const constant = c.graph.constant({ dtype: 'float32', shape: [data.length], data });
    return c.node(op, [c.float(['B', 3, 'S', 'T']), null, constant], nearest);
  });
};

const reshapes = (op: string): Build[] => [
  (c) => c.node(op, [c.float(['B', 'S', 4]), c.axes(0, -1)]),
  (c) => c.node(op, [c.float(['B', 'S', 4]), c.axes(-1, 2)]),
  (c) => c.node(op, [c.float(['B', 6]), c.axes(0, 2, -1)]),
  (c) => c.node(op, [c.float([2, 3]), c.axes(3, 2)]),
  (c) => c.node(op, [c.float([1, 1]), c.axes()]),
  (c) => c.node(op, [c.float([0, 3]), c.axes(3, 0)], { allowzero: 1 }),
];

const concats = (op: string): Build[] => [
  (c) => c.node(op, [c.float(['B', 3]), c.float(['S', 3])], { axis: 0 }),
  (c) => c.node(op, [c.float(['B', 3, 2]), c.float(['B', 'S', 2]), c.float(['B', 1, 2])], { axis: -2 }),
  (c) => {
    const x = c.float(['B', 3]);
    return c.node(op, [x, slice(c.float(['B', 'S']), 1, 0, 0)], { axis: 1 });
  },
  (c) => c.node(op, [c.integer('int64', [2], 0, 9), c.integer('int64', ['B'], 0, 9)], { axis: 0 }),
];

const splits = (op: string): Build[] => [
  (c) => c.nodes(op, [c.float(['B', 6])], { axis: 1, num_outputs: 3 }, 3),
  (c) => c.nodes(op, [c.float([4, 'B'])], { axis: 0, num_outputs: 2 }, 2),
  (c) => c.nodes(op, [c.float(['B', 'S', 6]), c.axes(1, 0, 5)], { axis: -1 }, 3),
];

const farEnd = 2 ** 40;
const slices = (op: string): Build[] => [
  (c) => c.node(op, [c.float([5, 'B']), c.axes(1), c.axes(3)]),
  (c) => c.node(op, [c.float([5, 'B', 4]), c.axes(1, -3), c.axes(-1, farEnd), c.axes(0, 2)]),
  (c) => c.node(op, [c.float([7]), c.axes(0), c.axes(farEnd), c.axes(0), c.axes(3)]),
  (c) => c.node(op, [c.float([7, 2]), c.axes(-1), c.axes(-farEnd), c.axes(0), c.axes(-1)]),
  (c) => c.node(op, [c.float([7]), c.axes(5), c.axes(1), c.axes(0), c.axes(-2)]),
  (c) => c.node(op, [c.float([7]), c.axes(4), c.axes(2), c.axes(0)]),
  (c) => c.node(op, [c.float(['B', 'S']), c.axes(1), c.axes(farEnd), c.axes(0)]),
  (c) => c.node(op, [c.float(['B', 'S']), c.axes(0), c.axes(1), c.axes(-1)]),
  (c) => c.node(op, [c.float(['B', 'S']), c.axes(0), c.axes(0), c.axes(1)]),
];

const gathers = (op: string): Build[] => [
  (c) => c.node(op, [c.float([5, 'B']), c.integer('int64', ['S'], -5, 5)]),
  (c) => c.node(op, [c.float(['B', 5, 2]), c.integer('int32', ['S', 2], 0, 5)], { axis: -2 }),
  (c) => c.node(op, [c.float(['B', 5]), c.integer('int64', [], 0, 5)], { axis: 1 }),
];

const float8: DataType[] = ['float8e4m3fn', 'float8e5m2'];
const bytes = (c: Case, dtype: DataType, count: number): HostTensor => {
  const x = c.integer('uint8', [count], 0, 120); // positive and finite in both formats
  return { dtype, shape: [count], data: Uint8Array.from(c.feeds[x.name]?.data ?? []) };
};

const casts = (op: string): Build[] => [
  ...(['int32', 'int64', 'int8', 'bool', 'float64'] as const).map(
    (to): Build =>
      (c) =>
        c.node(op, [c.float(['B', 8], -3, 3)], { to: onnxCode(to) }),
  ),
  (c) => c.node(op, [c.integer('int64', ['B', 8], -9, 9)], { to: onnxCode('float32') }),
  (c) => c.node(op, [c.integer('int32', ['B', 8], -900, 900)], { to: onnxCode('uint8') }),
  (c) => c.node(op, [c.integer('bool', ['B', 8], 0, 2)], { to: onnxCode('float32') }),
  ...(['float16', 'bfloat16'] as const).map(
    // exact in both formats, so that the double needs no rounding
    (to): Build =>
      (c) =>
        cast(c.node(op, [cast(c.integer('int32', ['B', 8], -99, 99), 'float32')], { to: onnxCode(to) }), 'float32'),
  ),
  ...float8.map(
    (dtype): Build =>
      (c) =>
        c.node(op, [c.graph.constant(bytes(c, dtype, 64))], { to: onnxCode('float32') }),
  ),
];

const dequantizations = (op: string): Build[] => [
  (c) => c.node(op, [c.integer('int8', ['B', 6], -128, 128), scalar(c.graph, 0.5)]),
  (c) => c.node(op, [c.integer('uint8', ['B', 6], 0, 256), c.float([6], 0, 1), c.integer('uint8', [6], 100, 150)]),
  (c) => c.node(op, [c.integer('int8', [4, 'S', 2], -128, 128), c.float([4], 0, 1)], { axis: 0 }),
  (c) =>
    c.node(
      op,
      [c.integer('uint8', ['B', 6], 0, 256), c.float(['B', 3], 0, 1), c.integer('uint8', ['B', 3], 100, 150)],
      {
        axis: 1,
        block_size: 2,
      },
    ),
  (c) =>
    c.node(op, [c.integer('int8', [6, 'B', 2], -128, 128), c.float([2, 'B', 2], 0, 1)], { axis: -3, block_size: 3 }),
  (c) => c.node(op, [c.integer('int32', ['B', 6], -999, 999), c.float([6], 0, 1)]),
  ...float8.map((dtype): Build => (c) => {
    const codes = c.graph.constant({ ...bytes(c, dtype, 24), shape: [3, 8] });
    return c.node(op, [codes, c.float([3, 2], 0, 0.01)], { axis: 1, block_size: 4 });
  }),
];

const eightBitProducts = (op: string): Build[] =>
  [[16, 'B'] as const, [64, 'B', 'S'] as const].map(([block, ...batch]): Build => (c) => {
    const [K, N] = [2 * block, 3];
    const operands = [c.float([...batch, K]), c.integer('uint8', [N, 2, block], 1, 256), c.float([N, 2], 0, 0.1)];
    return c.node(op, operands, { K, N, bits: 8, block_size: block, accuracy_level: 0 });
  });

const table = (c: Case, rows: Dim, half: number) => [c.float([rows, half], -1, 1), c.float([rows, half], -1, 1)];

const rotations = (op: string): Build[] => [
  (c) => c.node(op, [c.float(['B', 2, 'S', 6]), c.axes(0), ...table(c, 'S', 3)], { interleaved: 1 }),
  (c) => c.node(op, [c.float(['B', 2, 'S', 6]), c.axes(0), ...table(c, 'S', 3)]),
  (c) => c.node(op, [c.float(['B', 2, 3, 4]), c.axes(2), ...table(c, 5, 2)], { interleaved: 1 }),
  (c) => {
    const positions = c.integer('int64', ['B', 'S'], 0, 7);
    return c.node(op, [c.float(['B', 3, 'S', 8]), positions, ...table(c, 7, 4)], { interleaved: 1 });
  },
  (c) =>
    c.node(op, [c.float(['B', 2, 'S', 8]), c.axes(0), ...table(c, 'S', 2)], {
      interleaved: 1,
      num_heads: 2,
      rotary_embedding_dim: 4,
    }),
];

const families: Record<string, (op: string) => Build[]> = {
  Neg: unary(),
  Abs: unary(),
  Exp: unary(),
  Log: unary(0.1, 3),
  Sqrt: unary(0.1, 3),
  Reciprocal: unary(0.5, 2),
  Tanh: unary(-4, 4),
  Sigmoid: unary(-6, 6),
  Erf: unary(-4, 4),
  Sin: unary(-6, 6),
  Cos: unary(-6, 6),
  Relu: unary(),
  Sign: unary(),
  Gelu: both(unary(-4, 4), (op) => [(c) => c.node(op, [c.float(['B', 7], -4, 4)], { approximate: 'tanh' })]),
  QuickGelu: both(unary(-4, 4), (op) => [(c) => c.node(op, [c.float(['B', 7])], { alpha: 1 })]),
  Softmax: axisOfEach,
  Identity: both(unary(), (op) => [(c) => c.node(op, [c.integer('int64', ['B'], 0, 9)])]),
  Not: (op) => shapes.map((shape) => (c) => c.node(op, [c.integer('bool', shape, 0, 2)])),
  Add: arithmetic,
  Sub: arithmetic,
  Mul: arithmetic,
  Div: both(binary(0.5, 2), doubles, (op) => [
    (c) => c.node(op, [c.integer('int64', ['B', 5], -9, 9), c.integer('int64', [5], 1, 4)]),
    (c) => c.node(op, [c.integer('int32', ['B', 5], -9, 9), c.integer('int32', [5], -4, 0)]),
  ]),
  Pow: both(binary(0.5, 2), doubles),
  Min: both(arithmetic, variadic),
  Max: both(arithmetic, variadic),
  Equal: both(compare, logical),
  Less: compare,
  LessOrEqual: compare,
  Greater: compare,
  GreaterOrEqual: compare,
  And: logical,
  Or: logical,
  BitwiseAnd: (op) => [
    (c) => c.node(op, [c.integer('int32', ['B', 3], -999, 999), c.integer('int32', [3], -999, 999)]),
    (c) => c.node(op, [c.integer('int16', ['B', 3], -999, 999), c.integer('int16', [], -999, 999)]),
    (c) => c.node(op, [c.integer('uint8', ['B', 3], 0, 256), c.integer('uint8', ['B', 1], 0, 256)]),
  ],
  Where: (op) => [
    (c) => c.node(op, [c.integer('bool', ['B', 3], 0, 2), c.float(['B', 3]), c.float(['B', 3])]),
    (c) => c.node(op, [c.integer('bool', ['B', 1], 0, 2), c.float(['S', 1, 3]), c.float([])]),
    (c) => c.node(op, [c.integer('bool', [3], 0, 2), c.integer('int64', ['B', 3], 0, 9), c.integer('int64', [], 0, 9)]),
  ],
  MatMul: matmul,
  Gemm: gemm,
  FusedMatMul: both(matmul, fused),
  Conv: convolutions,
  Resize: resizes,
  ReduceSum: reduction,
  ReduceMean: reduction,
  ReduceL2: reduction,
  ReduceMax: reduction,
  LayerNormalization: layerNormalization,
  SimplifiedLayerNormalization: rmsNormalization,
  Transpose: (op) => [
    (c) => c.node(op, [c.float(['B', 3, 'S'])]),
    (c) => c.node(op, [c.float(['B', 3, 'S', 2])], { perm: [0, 2, 1, 3] }),
    (c) => c.node(op, [c.float(['B', 3, 'S', 2])], { perm: [3, 0, 2, 1] }),
    (c) => c.node(op, [c.integer('int64', [0, 3], 0, 9)], { perm: [1, 0] }),
  ],
  Reshape: reshapes,
  Concat: concats,
  Split: splits,
  Slice: slices,
  Gather: gathers,
  Unsqueeze: (op) => [
    (c) => c.node(op, [c.float(['B', 3]), c.axes(0)]),
    (c) => c.node(op, [c.float(['B', 3]), c.axes(-1, 1)]),
    (c) => c.node(op, [c.float([]), c.axes(0, 1)]),
  ],
  Squeeze: (op) => [
    (c) => c.node(op, [c.float(['B', 1, 3, 1]), c.axes(1)]),
    (c) => c.node(op, [c.float(['B', 1, 3, 1]), c.axes(-1, 1)]),
  ],
  Expand: (op) => [
    (c) => c.node(op, [c.float(['B', 1, 3]), c.axes(1, 4, 1)]),
    (c) => c.node(op, [c.float([3]), c.axes(2, 5, 3)]),
    (c) => c.node(op, [c.float([]), c.axes(2)]),
  ],
  Cast: casts,
  BitCast: (op) => [
    // all float16 but infinities and NaN, of both signs
    ...[0, -32768].map(
      (least): Build =>
        (c) =>
          cast(
            c.node(op, [c.integer('int16', ['B', 8], least, least + 0x7c00)], { to: onnxCode('float16') }),
            'float32',
          ),
    ),
    (c) => c.node(op, [c.float(['B', 3])], { to: onnxCode('int32') }),
    (c) => c.node(op, [c.integer('int8', ['B', 3], -128, 128)], { to: onnxCode('uint8') }),
  ],
  Shape: (op) => [
    (c) => c.node(op, [c.float(['B', 3, 'S'])]),
    (c) => c.node(op, [c.float(['B', 3, 'S'])], { start: 1 }),
    (c) => c.node(op, [c.float(['B', 3, 'S'])], { start: -2, end: -1 }),
    (c) => c.node(op, [c.float(['B', 3, 'S'])], { start: -9, end: 9 }),
  ],
  ConstantOfShape: (op) => [(c) => c.node(op, [c.axes(2, 3)]), (c) => c.node(op, [c.axes()])],
  RotaryEmbedding: rotations,
  Attention: (op) => [
    (c) =>
      c.node(op, [c.float(['B', 2, 'S', 8]), c.float(['B', 2, 'T', 8]), c.float(['B', 2, 'T', 8])], { scale: 0.3 }),
    (c) => c.node(op, [c.float([1, 3, 'S', 8]), c.float([1, 3, 5, 8]), c.float([1, 3, 5, 4])]),
  ],
  MultiHeadAttention: (op) => [
    (c) =>
      c.node(op, [c.float(['B', 'S', 16]), c.float(['B', 'T', 16]), c.float(['B', 'T', 16])], {
        num_heads: 2,
        scale: 0.3,
      }),
    (c) => c.node(op, [c.float([1, 'S', 24]), c.float([1, 5, 24]), c.float([1, 5, 12])], { num_heads: 3, scale: 0.4 }),
  ],
  DequantizeLinear: dequantizations,
  MatMulNBits: eightBitProducts,
};

/** Graphs of one operator each, for every operator of the table. */
export const operatorCases: ReadonlyMap<string, readonly Build[]> = new Map(
  Object.entries(families).map(([op, family]) => [op, family(op)]),
);
