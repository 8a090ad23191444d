import type { Dim, Shape } from './dim.ts';
import type { DataType } from './dtype.ts';
import type { Attributes, Graph, TensorType, Value } from './graph.ts';

import { dimAdd, dimDivide, dimMin, dimSub, dimTerms, elementCount, minOf } from './dim.ts';
import { isFloat, onnxCode } from './dtype.ts';
import { GraphError } from './errors.ts';

/** A tensor or a number; numbers take the dtype of the tensor beside them. */
export type Operand = Value | number;

/** Applies an operator with one output. Numbers become constants of the first tensor's dtype. */
export function apply(op: string, operands: readonly (Operand | null)[], attributes: Attributes = {}): Value {
  const like = operands.find((x): x is Value => x !== null && typeof x === 'object');
  if (!like) throw new GraphError('UNKNOWN_VALUE', op, 'all operands are numbers.', 'Compute it in TypeScript.');
  const inputs = operands.map((x) => (typeof x === 'number' ? scalar(like.graph, x, like.dtype) : x));
  return one(like.graph.node(op, inputs, attributes));
}

function one(values: readonly Value[]): Value {
  const [value] = values;
  if (!value)
    throw new GraphError('UNKNOWN_OPERATOR', '', 'internal: an operator without output.', 'Please report it.');
  return value;
}

/** A constant of shape []. */
export function scalar(graph: Graph, x: number, dtype: DataType = 'float32'): Value {
  if (dtype === 'float32') return graph.constant({ dtype, shape: [], data: Float32Array.of(x) });
  if (dtype === 'float64') return graph.constant({ dtype, shape: [], data: Float64Array.of(x) });
  if (isFloat(dtype)) return cast(scalar(graph, x), dtype);
  if (dtype === 'int64') return graph.constant({ dtype, shape: [], data: BigInt64Array.of(integer(x)) });
  if (dtype === 'int32') return graph.constant({ dtype, shape: [], data: Int32Array.of(Number(integer(x))) });
  return cast(scalar(graph, x, 'int32'), dtype);
}

/** A constant int64 vector: axes, shapes, bounds. */
export const int64s = (graph: Graph, xs: readonly number[]): Value =>
  graph.constant({ dtype: 'int64', shape: [xs.length], data: BigInt64Array.from(xs, integer) });

function integer(x: number): bigint {
  if (Number.isSafeInteger(x)) return BigInt(x);
  throw new GraphError(
    'DTYPE_MISMATCH',
    '',
    `${x} is not an integer.`,
    'Axes, bounds and numbers beside integer tensors are.',
  );
}

// Elementwise, broadcasting like NumPy.
export const add = (a: Operand, b: Operand): Value => apply('Add', [a, b]);
export const sub = (a: Operand, b: Operand): Value => apply('Sub', [a, b]);
export const mul = (a: Operand, b: Operand): Value => apply('Mul', [a, b]);
export const div = (a: Operand, b: Operand): Value => apply('Div', [a, b]);
export const pow = (a: Operand, b: Operand): Value => apply('Pow', [a, b]);
export const min = (a: Operand, b: Operand): Value => apply('Min', [a, b]);
export const max = (a: Operand, b: Operand): Value => apply('Max', [a, b]);
export const neg = (x: Value): Value => apply('Neg', [x]);
export const exp = (x: Value): Value => apply('Exp', [x]);
export const log = (x: Value): Value => apply('Log', [x]);
export const sqrt = (x: Value): Value => apply('Sqrt', [x]);
export const reciprocal = (x: Value): Value => apply('Reciprocal', [x]);
export const tanh = (x: Value): Value => apply('Tanh', [x]);
export const sigmoid = (x: Value): Value => apply('Sigmoid', [x]);
export const erf = (x: Value): Value => apply('Erf', [x]);
export const sin = (x: Value): Value => apply('Sin', [x]);
export const cos = (x: Value): Value => apply('Cos', [x]);
export const relu = (x: Value): Value => apply('Relu', [x]);
export const identity = (x: Value): Value => apply('Identity', [x]);
export const less = (a: Operand, b: Operand): Value => apply('Less', [a, b]);
export const greater = (a: Operand, b: Operand): Value => apply('Greater', [a, b]);
export const equal = (a: Operand, b: Operand): Value => apply('Equal', [a, b]);

/** `condition ? a : b`, element by element. */
export function where(condition: Value, a: Operand, b: Operand): Value {
  const like = [a, b].find((x) => typeof x === 'object');
  const dtype = like?.dtype ?? 'float32';
  const value = (x: Operand) => (typeof x === 'number' ? scalar(condition.graph, x, dtype) : x);
  return one(condition.graph.node('Where', [condition, value(a), value(b)]));
}

/** `x·σ(x)`, also called swish. */
export const silu = (x: Value): Value => mul(x, sigmoid(x));

/** Gaussian error linear unit; `tanh` is the approximation of Hendrycks & Gimpel 2016. */
export const gelu = (x: Value, approximate: 'none' | 'tanh' = 'none'): Value => apply('Gelu', [x], { approximate });

/** `x·σ(αx)` in one operator (Hendrycks & Gimpel 2016); with `alpha` 1 it is {@link silu}. */
export const quickGelu = (x: Value, alpha = 1.702): Value => apply('QuickGelu', [x], { alpha });

export const softmax = (x: Value, axis = -1): Value => apply('Softmax', [x], { axis });

/** Matrix product over the last two axes, the others broadcast. */
export const matmul = (a: Value, b: Value): Value => apply('MatMul', [a, b]);

/** Transpose of the last two axes. */
export const mT = (x: Value): Value => {
  const rank = x.shape.length;
  return transpose(x, [...Array(Math.max(0, rank - 2)).keys(), rank - 1, rank - 2]);
};

export const transpose = (x: Value, perm: readonly number[]): Value => apply('Transpose', [x], { perm });

export const concat = (xs: readonly Value[], axis: number): Value => apply('Concat', xs, { axis });

/** `parts` pieces of equal length along `axis`. */
export function chunk<N extends number>(x: Value, parts: N, axis = -1): Tuple<Value, N> {
  return x.graph.node('Split', [x], { axis, num_outputs: parts }, { outputs: parts }) as Tuple<Value, N>;
}
type Tuple<T, N extends number, R extends T[] = []> = number extends N
  ? T[]
  : R['length'] extends N
    ? R
    : Tuple<T, N, [...R, T]>;

/** Pieces of the given lengths along `axis`. */
export const split = (x: Value, sizes: readonly number[], axis = -1): Value[] =>
  x.graph.node('Split', [x, int64s(x.graph, sizes)], { axis });

/**
 * Elements `start … end` (exclusive) of one axis; `Infinity` means to its end. A symbolic axis is taken to be at least
 * as long as the bounds say.
 */
export function slice(x: Value, axis: number, start: number, end = Number.POSITIVE_INFINITY): Value {
  const { graph } = x;
  const bound = Number.isFinite(end) ? end : Number.MAX_SAFE_INTEGER;
  return apply('Slice', [x, int64s(graph, [start]), int64s(graph, [bound]), int64s(graph, [axis])]);
}

/** Elements `start … end` (exclusive) of one axis as far as it reaches: a shorter axis gives fewer, or none. */
export function clippedSlice(x: Value, axis: number, start: number, end: number): Value {
  const { graph } = x;
  const bound = Number.isFinite(end) ? end : Number.MAX_SAFE_INTEGER;
  const shape = x.shape.map((d, i) => (i === axis ? dimSub(dimMin(d, end), dimMin(d, start)) : d));
  const bounds = [start, bound, axis].map((n) => int64s(graph, [n]));
  return one(graph.node('Slice', [x, ...bounds], {}, { types: [{ dtype: x.dtype, shape }] }));
}

/** `length` elements of one axis from `start`, either of which may be symbolic. */
export function sliceAt(x: Value, axis: number, start: Dim, length: Dim): Value {
  const { graph } = x;
  const bounds = [shapeVector(graph, [start]), shapeVector(graph, [dimAdd(start, length)]), int64s(graph, [axis])];
  const shape = x.shape.map((d, i) => (i === axis ? length : d));
  return one(graph.node('Slice', [x, ...bounds], {}, { types: [{ dtype: x.dtype, shape }] }));
}

/** Rows of `x` along `axis` picked by integer indices. */
export const gather = (x: Value, indices: Value, axis = 0): Value => apply('Gather', [x, indices], { axis });

export const unsqueeze = (x: Value, ...axes: number[]): Value => apply('Unsqueeze', [x, int64s(x.graph, axes)]);
export const squeeze = (x: Value, ...axes: number[]): Value => apply('Squeeze', [x, int64s(x.graph, axes)]);

export const cast = (x: Value, dtype: DataType): Value =>
  x.dtype === dtype ? x : apply('Cast', [x], { to: onnxCode(dtype) });

export const reduceSum = (x: Value, axes: readonly number[], keepdims = true): Value =>
  reduce('ReduceSum', x, axes, keepdims);
/** `√(Σ x²)` */
export const reduceL2 = (x: Value, axes: readonly number[], keepdims = true): Value =>
  reduce('ReduceL2', x, axes, keepdims);
export const reduceMean = (x: Value, axes: readonly number[], keepdims = true): Value =>
  reduce('ReduceMean', x, axes, keepdims);

function reduce(op: string, x: Value, axes: readonly number[], keepdims: boolean): Value {
  return apply(op, [x, int64s(x.graph, axes)], { keepdims: keepdims ? 1 : 0 });
}

/**
 * Convolution (cross-correlation, as the field has it) over all axes behind the second.
 *
 * @param x `[N, C, …]`
 * @param weight `[M, C/groups, …kernel]`
 * @param bias `[M]`
 * @param options.pads zeros before each axis, then behind each, default none
 * @param options.strides of each axis, default 1
 * @returns `[N, M, …]`, each axis `⌊(length + pads − kernel) / stride⌋ + 1` long
 */
export function conv(x: Value, weight: Value, bias: Value | null = null, options: ConvOptions = {}): Value {
  const { pads, strides, groups = 1 } = options;
  const attributes = {
    ...(pads ? { pads } : {}),
    ...(strides ? { strides } : {}),
    ...(groups > 1 ? { group: groups } : {}),
  };
  return apply('Conv', bias ? [x, weight, bias] : [x, weight], attributes);
}
export interface ConvOptions {
  readonly pads?: readonly number[];
  readonly strides?: readonly number[];
  readonly groups?: number;
}

/** Repeats every element of the axes behind the second `factor` times: `[N, C, H, W]` becomes `[N, C, f·H, f·W]`. */
export function upsampleNearest(x: Value, factor: number): Value {
  const data = Float32Array.from(x.shape, (_, axis) => (axis < 2 ? 1 : factor));
  const scales = x.graph.constant({ dtype: 'float32', shape: [data.length], data });
  return apply('Resize', [x, null, scales], nearest);
}
const nearest = { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' } as const;

/**
 * The same elements in another shape. Symbols may appear anywhere in `shape` as long as the number of elements agrees;
 * what ONNX cannot express with copied axes and one -1 is computed from the graph's inputs.
 */
export function reshape(x: Value, shape: Shape): Value {
  const { graph } = x;
  const target = staticTarget(x.shape, shape);
  const input = target ? int64s(graph, target) : shapeVector(graph, shape);
  const attributes: Attributes = target ? {} : { allowzero: 1 };
  return one(graph.node('Reshape', [x, input], attributes, { types: [{ dtype: x.dtype, shape }] }));
}

/** A Reshape target of literals, 0 (copy this axis) and one -1, if the shape can be said that way. */
function staticTarget(from: Shape, to: Shape): number[] | undefined {
  const target = to.map((d, i): Dim => (typeof d === 'number' ? d : d === from[i] ? 0 : d));
  const open = target.flatMap((d, i) => (typeof d === 'string' ? [i] : []));
  if (open.length > 1 || target.some((d, i) => d === 0 && to[i] === 0)) return undefined;
  return target.map((d) => (typeof d === 'string' ? -1 : d));
}

/** `shape` as an int64 vector computed in the graph. */
export function shapeVector(graph: Graph, shape: Shape): Value {
  if (shape.every((d) => typeof d === 'number')) return int64s(graph, shape);
  return concat(
    shape.map((d) => dimValue(graph, d)),
    0,
  );
}

/** One dimension as an int64 vector of length 1, from the shapes of the graph's inputs. */
function dimValue(graph: Graph, dim: Dim): Value {
  if (typeof dim === 'number') return int64s(graph, [dim]);
  const terms = dimTerms(dim).map(({ coefficient, symbols }) =>
    [
      ...(coefficient === 1 && symbols.length > 0 ? [] : [int64s(graph, [coefficient])]),
      ...symbols.map((s) => symbolValue(graph, s)),
    ].reduce((a, b) => mul(a, b)),
  );
  return terms.reduce((a, b) => add(a, b));
}

function symbolValue(graph: Graph, symbol: string): Value {
  const least = minOf(symbol);
  if (least) return min(dimValue(graph, least.dim), least.limit);
  for (const input of graph.inputs) {
    const axis = input.shape.indexOf(symbol);
    if (axis >= 0) return axisLength(input, axis);
  }
  // an axis of e.g. 8·h positions binds h too
  for (const input of graph.inputs) {
    for (const [axis, dim] of input.shape.entries()) {
      const multiple = dimDivide(dim, symbol);
      if (typeof multiple === 'number' && multiple > 0) return div(axisLength(input, axis), multiple);
    }
  }
  throw new GraphError(
    'BAD_DIMENSION',
    symbol,
    'no input has an axis of this length.',
    'Use the symbols of the inputs.',
  );
}

const axisLength = (x: Value, axis: number): Value => apply('Shape', [x], { start: axis, end: axis + 1 });

/** `x` repeated along axes of length 1 (or new leading axes) to `shape`. */
export function expand(x: Value, shape: Shape): Value {
  if (shape.length === x.shape.length && shape.every((d, i) => d === x.shape[i])) return x;
  return one(x.graph.node('Expand', [x, shapeVector(x.graph, shape)], {}, { types: [{ dtype: x.dtype, shape }] }));
}

/** A float32 tensor of one value, made at run time: large constants would sit in the model file. */
export function full(graph: Graph, shape: Shape, value: number): Value {
  if (shape.length === 0) return scalar(graph, value);
  const type: TensorType = { dtype: 'float32', shape };
  const [op, first] = value === 0 ? (['ConstantOfShape', []] as const) : (['Expand', [scalar(graph, value)]] as const);
  return one(graph.node(op, [...first, shapeVector(graph, shape)], {}, { types: [type] }));
}

/** A tensor of the shape of `x` with one value everywhere. */
export const fullLike = (x: Value, value: number): Value => cast(full(x.graph, x.shape, value), x.dtype);

/**
 * Layer normalization over the last axis (Ba et al. 2016): `(x − mean)/√(var + eps)·scale + bias`.
 *
 * @returns `y` like `x`, and per row the float32 `mean` and `invStd`, which gradients reuse
 */
export function layerNormalization(x: Value, scale: Value, bias: Value | null, epsilon: number): LayerNorm {
  const inputs = bias ? [x, scale, bias] : [x, scale];
  const [y, mean, invStd] = x.graph.node('LayerNormalization', inputs, { axis: -1, epsilon }, { outputs: 3 });
  return { y: one(y ? [y] : []), mean: one(mean ? [mean] : []), invStd: one(invStd ? [invStd] : []) };
}
export interface LayerNorm {
  readonly y: Value;
  readonly mean: Value;
  readonly invStd: Value;
}

/** Layer normalization without learned scale and bias. */
export function layerNorm(x: Value, epsilon: number): Value {
  return layerNormalization(x, full(x.graph, x.shape.slice(-1), 1), null, epsilon).y;
}

/** Root-mean-square normalization over the last axis (Zhang & Sennrich 2019): `x/√(mean(x²) + eps)·scale`. */
export function rmsNorm(x: Value, scale: Value, epsilon: number): Value {
  return one(x.graph.node('SimplifiedLayerNormalization', [x, scale], { axis: -1, epsilon }, { outputs: 2 }));
}

/**
 * Rotary position embedding of neighbouring pairs (Su et al. 2021): channels `(2i, 2i+1)` turn by the angle whose
 * cosine and sine stand in the tables.
 *
 * @param x `[B, H, T, D]`
 * @param cosines `[T, D/2]`, `sines` likewise
 */
export function rotaryEmbedding(x: Value, cosines: Value, sines: Value): Value {
  const offset = int64s(x.graph, [0]);
  return apply('RotaryEmbedding', [x, offset, cosines, sines], { interleaved: 1 });
}

/**
 * Attention `softmax(scale·q·kᵀ)·v` (Vaswani et al. 2017). It is one operator until {@link lowerAttention} says how it is
 * computed.
 *
 * @param q `[B, H, S, d]`
 * @param k `[B, H, L, d]`
 * @param v `[B, H, L, e]`
 * @returns `[B, H, S, e]`
 */
export const attention = (q: Value, k: Value, v: Value, scale: number): Value =>
  apply('Attention', [q, k, v], { scale });

/** Number of elements as a float32 scalar computed in the graph. */
export function elementCountValue(graph: Graph, shape: Shape, dtype: DataType): Value {
  const count = elementCount(shape);
  if (typeof count === 'number') return scalar(graph, count, dtype);
  return squeeze(cast(dimValue(graph, dimAdd(count, 0)), dtype), 0);
}
