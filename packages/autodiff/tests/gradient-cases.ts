import type { AttentionChunks, Operand, Shape, Value } from '@musubi/onnx-graph';

import * as o from '@musubi/onnx-graph';

import { createRandom } from '../../onnx-graph/tests/interpreter/index.ts';
import { broadcastingShapes } from './random-shapes.ts';

/** One input of a case: its shape (numbers, or symbols bound by {@link drawLengths}) and the range of its random values. */
export interface CaseInput {
  readonly shape: Shape;
  readonly from?: number;
  readonly to?: number;
  /** False for inputs without a derivative. */
  readonly wrt?: boolean;
}

export interface GradientCase {
  readonly op: string;
  readonly name: string;
  readonly inputs: readonly CaseInput[];
  readonly build: (...inputs: Value[]) => readonly Value[];
  /** In how many pieces attention is computed. */
  readonly attention?: AttentionChunks;
}

/** Lengths of the symbols that cases use. Some cases slice two elements off an axis of length S. */
export const drawLengths = (random: () => number): Readonly<Record<string, number>> => ({
  B: 1 + Math.floor(4 * random()),
  S: 2 + Math.floor(4 * random()),
});

const unary = (op: string, from = -2, to = 2): GradientCase[] =>
  ([['B', 4], [3]] as Shape[]).map((shape) => ({
    op,
    name: `[${shape.join(', ')}]`,
    inputs: [{ shape, from, to }],
    build: (x) => [o.apply(op, [x])],
  }));

/** Broadcasting in both directions, over missing axes and over axes of length 1. */
const pairs: readonly (readonly [Shape, Shape])[] = [
  [
    ['B', 'S', 4],
    ['B', 'S', 4],
  ],
  [['B', 'S', 4], [4]],
  [
    ['B', 1, 4],
    ['S', 1],
  ],
  [[1], ['B', 'S']],
  [[], [3]],
];

/** Shapes of several operands that broadcast together, drawn once: the cases have their shapes as names. */
const drawn = (operands: number, seed: number): readonly (readonly Shape[])[] => {
  const random = createRandom(seed);
  return Array.from({ length: 8 }, () => broadcastingShapes(random, operands));
};
const namesOf = (shapes: readonly Shape[]): string => shapes.map((shape) => `[${shape.join(', ')}]`).join(' and ');

const binary = (op: string, from = -2, to = 2): GradientCase[] =>
  [...pairs, ...(drawn(2, 1) as typeof pairs)].map(([a, b]) => ({
    op,
    name: namesOf([a, b]),
    inputs: [
      { shape: a, from, to },
      { shape: b, from, to },
    ],
    build: (x, y) => [o.apply(op, [x, y])],
  }));

const one = (op: string, name: string, shapes: readonly Shape[], build: GradientCase['build']): GradientCase => ({
  op,
  name,
  inputs: shapes.map((shape) => ({ shape })),
  build,
});

const withNumber = (op: string, f: (x: Operand, y: Operand) => Value): GradientCase[] => [
  one(op, 'a number on the right', [['S', 4]], (x) => [f(o.exp(need(x)), 1.5)]),
  one(op, 'a number on the left', [['S', 4]], (x) => [f(1.5, o.exp(need(x)))]),
];

const need = (x: Value | undefined): Value => {
  if (!x) throw new Error('missing input');
  return x;
};

export const gradientCases: readonly GradientCase[] = [
  ...['Neg', 'Exp', 'Tanh', 'Sigmoid', 'Erf', 'Sin', 'Cos', 'Identity', 'QuickGelu'].flatMap((op) => unary(op)),
  ...['Log', 'Sqrt', 'Reciprocal', 'Abs', 'Relu'].flatMap((op) => unary(op, 0.3, 3)),
  ...['Abs', 'Relu'].flatMap((op) => unary(op, -3, -0.3)),
  ...['none', 'tanh'].map((form) => one('Gelu', form, [['B', 5]], (x) => [o.gelu(need(x), form as 'none' | 'tanh')])),
  one('QuickGelu', 'another alpha', [['B', 5]], (x) => [o.apply('QuickGelu', [need(x)], { alpha: 0.7 })]),
  one('Cast', 'to itself and through float64', [['B', 5]], (x) => [o.cast(o.cast(need(x), 'float64'), 'float32')]),

  ...['Add', 'Sub', 'Mul', 'Min', 'Max'].flatMap((op) => binary(op)),
  ...['Div', 'Pow'].flatMap((op) => binary(op, 0.4, 2.5)),
  ...withNumber('Add', o.add),
  ...withNumber('Sub', o.sub),
  ...withNumber('Mul', o.mul),
  ...withNumber('Div', o.div),
  ...withNumber('Pow', o.pow),
  one(
    'Where',
    'broadcast',
    [
      ['B', 4],
      ['S', 1, 4],
      [1, 1],
    ],
    (c, a, b) => [o.where(o.greater(need(c), 0), need(a), need(b))],
  ),

  ...drawn(3, 3).map((shapes) =>
    one('Where', namesOf(shapes), shapes, (c, a, b) => [o.where(o.greater(need(c), 0), need(a), need(b))]),
  ),

  ...drawn(2, 2).map(([a = [], b = []]) => {
    const shapes = [
      [...a, 'S', 4],
      [...b, 4, 'B'],
    ];
    return one('MatMul', namesOf(shapes), shapes, (x, y) => [o.matmul(need(x), need(y))]);
  }),
  one(
    'MatMul',
    'matrices',
    [
      [3, 4],
      [4, 5],
    ],
    (a, b) => [o.matmul(need(a), need(b))],
  ),
  one(
    'MatMul',
    'a batch by one matrix',
    [
      ['B', 'S', 4],
      [4, 5],
    ],
    (a, b) => [o.matmul(need(a), need(b))],
  ),
  one(
    'MatMul',
    'batches',
    [
      ['B', 2, 'S', 4],
      ['B', 2, 4, 'S'],
    ],
    (a, b) => [o.matmul(need(a), need(b))],
  ),
  one(
    'MatMul',
    'batches that broadcast',
    [
      ['B', 1, 'S', 4],
      [3, 4, 5],
    ],
    (a, b) => [o.matmul(need(a), need(b))],
  ),
  one(
    'MatMul',
    'one matrix by a batch',
    [
      [5, 'S'],
      ['B', 'S', 4],
    ],
    (a, b) => [o.matmul(need(a), need(b))],
  ),
  one(
    'MatMul',
    'transposed operands and a factor',
    [
      ['B', 4, 'S'],
      [5, 4],
    ],
    (a, b) => [o.matmul(o.mul(o.mT(need(a)), 0.3), o.transpose(need(b), [1, 0]))],
  ),

  ...['ReduceSum', 'ReduceMean'].flatMap((op) =>
    [[1], [-1, 0], [0, 1, 2]].flatMap((axes) =>
      [true, false].map((keep) =>
        one(op, `axes ${axes.join(', ')}${keep ? ' kept' : ''}`, [['B', 'S', 4]], (x) => [
          (op === 'ReduceSum' ? o.reduceSum : o.reduceMean)(need(x), axes, keep),
        ]),
      ),
    ),
  ),

  one('Softmax', 'last axis', [['B', 'S', 5]], (x) => [o.softmax(need(x))]),
  one('Softmax', 'first axis', [['B', 'S']], (x) => [o.softmax(need(x), 0)]),
  one(
    'Softmax',
    'attention',
    [
      ['B', 2, 'S', 4],
      ['B', 2, 'S', 4],
      ['B', 2, 'S', 4],
    ],
    (q, k, v) => [o.matmul(o.softmax(o.mul(o.matmul(need(q), o.mT(need(k))), 0.5)), need(v))],
  ),
  one(
    'Softmax',
    'probabilities used twice',
    [
      ['B', 'S', 'S'],
      ['B', 'S', 4],
    ],
    (x, v) => {
      const p = o.softmax(need(x));
      return [o.matmul(p, need(v)), p];
    },
  ),
  one(
    'Softmax',
    'values broadcast over probabilities',
    [
      ['S', 'S'],
      ['B', 'S', 4],
    ],
    (x, v) => [o.matmul(o.softmax(need(x)), need(v))],
  ),
  ...[undefined, { chunks: 3, rows: 2 }, { chunks: 2, rows: 1 }].map((pieces): GradientCase => ({
    ...one(
      'Attention',
      pieces ? `${pieces.chunks} pieces of ${pieces.rows}` : 'in one piece',
      [
        ['B', 2, 'S', 4],
        ['B', 2, 5, 4],
        ['B', 2, 5, 3],
      ],
      (q, k, v) => [o.attention(need(q), need(k), need(v), 0.5)],
    ),
    ...(pieces ? { attention: pieces } : {}),
  })),
  {
    ...one('Attention', 'queries that are keys and values too', [['B', 2, 'S', 4]], (x) => [
      o.attention(o.exp(need(x)), need(x), need(x), 0.5),
    ]),
    attention: { chunks: 3, rows: 2 },
  },
  one('LayerNormalization', 'without scale', [['B', 'S', 6]], (x) => [o.layerNorm(need(x), 1e-6)]),
  one('LayerNormalization', 'scale and bias', [['B', 'S', 6], [6], [6]], (x, scale, bias) => [
    o.layerNormalization(need(x), need(scale), need(bias), 1e-5).y,
  ]),
  one('LayerNormalization', 'scale alone', [['S', 6], [6]], (x, scale) => [
    o.layerNormalization(need(x), need(scale), null, 1e-5).y,
  ]),
  one('SimplifiedLayerNormalization', 'scale', [['B', 'S', 6], [6]], (x, scale) => [
    o.rmsNorm(need(x), need(scale), 1e-6),
  ]),

  one('Transpose', 'heads', [['B', 'S', 2, 4]], (x) => [o.transpose(need(x), [0, 2, 1, 3])]),
  one('Transpose', 'a cycle', [['B', 'S', 4]], (x) => [o.transpose(need(x), [2, 0, 1])]),
  one('Reshape', 'flatten', [['B', 'S', 4]], (x) => [o.reshape(need(x), ['B*S', 4])]),
  one(
    'Reshape',
    'split',
    [
      ['B', 'S', 4],
      ['B', 'S', 1],
    ],
    (x, y) => [o.mul(o.reshape(o.reshape(need(x), ['B*S', 4]), ['B', 'S', 2, 2]), o.unsqueeze(need(y), 3))],
  ),
  one('Unsqueeze', 'two axes', [['B', 4]], (x) => [o.unsqueeze(need(x), 0, 2)]),
  one('Squeeze', 'one axis', [['B', 1, 4]], (x) => [o.squeeze(need(x), 1)]),
  one(
    'Expand',
    'new and repeated axes',
    [
      ['S', 1],
      ['B', 'S', 4],
    ],
    (x, y) => [o.mul(o.expand(need(x), ['B', 'S', 4]), need(y))],
  ),
  one(
    'Concat',
    'numbers',
    [
      ['B', 2],
      ['B', 3],
      ['B', 1],
    ],
    (...xs) => [o.concat(xs, 1)],
  ),
  one(
    'Concat',
    'a symbol and a number',
    [
      ['B', 'S', 4],
      ['B', 5, 4],
    ],
    (...xs) => [o.concat(xs, -2)],
  ),
  one(
    'Split',
    'equal pieces',
    [
      ['B', 'S', 6],
      ['B', 'S', 2],
    ],
    (x, y) => {
      const [a, , c] = o.chunk(need(x), 3);
      return [o.mul(a, need(y)), c];
    },
  ),
  one('Split', 'given lengths', [['B', 6]], (x) => o.split(need(x), [1, 3, 2])),
  one('Slice', 'the middle', [['B', 'S', 6]], (x) => [o.slice(need(x), 2, 1, 4)]),
  one('Slice', 'the start of a symbolic axis', [['B', 'S', 2]], (x) => [o.slice(need(x), 1, 0, 2)]),
  one('Slice', 'the end', [['B', 'S', 2]], (x) => [o.slice(need(x), 1, 1)]),
  {
    op: 'RotaryEmbedding',
    name: 'two heads',
    inputs: [{ shape: ['B', 2, 'S', 6] }, { shape: ['S', 3], wrt: false }, { shape: ['S', 3], wrt: false }],
    build: (x, c, s) => [o.rotaryEmbedding(need(x), need(c), need(s))],
  },
];
