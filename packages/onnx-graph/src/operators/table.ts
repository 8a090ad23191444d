import type { Dim } from '../dim.ts';
import type { TensorType, Value } from '../graph.ts';
import type { OperatorCall, OperatorSpec } from './infer.ts';

import { dimAdd, dimDivide, elementCount } from '../dim.ts';
import { fromOnnxCode, isFloat } from '../dtype.ts';
import { axisOf, broadcast, requireFloat, sameDtype, sliceLength, withAxis } from './shapes.ts';

type Infer = (call: OperatorCall) => TensorType[];

/** One float in, the same type out. */
const elementwise: Infer = (call) => {
  const x = call.input(0);
  requireFloat(call, x);
  return [{ dtype: x.dtype, shape: x.shape }];
};

const present = (call: OperatorCall): Value[] => call.inputs.filter((v) => v !== null);

/** Several of one dtype, broadcast together. */
const broadcasting: Infer = (call) => {
  const values = present(call);
  return [{ dtype: sameDtype(call, values), shape: broadcast(call, values) }];
};

const comparison: Infer = (call) => [
  { dtype: 'bool', shape: (sameDtype(call, present(call)), broadcast(call, present(call))) },
];

const reduction: Infer = (call) => {
  const x = call.input(0);
  const axes = call.inputs[1] ? call.constantInts(1) : [];
  if (!axes) return call.failShapes('the axes must be a constant');
  const chosen = new Set(axes.map((a) => axisOf(call, a, x.shape.length)));
  const all = chosen.size === 0 && call.int('noop_with_empty_axes') === 0;
  const keep = call.int('keepdims', 1) === 1;
  const shape = x.shape.flatMap((d, i): Dim[] => (all || chosen.has(i) ? (keep ? [1] : []) : [d]));
  return [{ dtype: x.dtype, shape }];
};

const matmul: Infer = (call) => {
  const [a, b] = [call.input(0), call.input(1)];
  const dtype = sameDtype(call, [a, b]);
  requireFloat(call, a);
  if (a.shape.length < 2 || b.shape.length < 2) call.failShapes('both sides need two axes');
  const [m, k] = swapIf(a.shape.slice(-2), call.int('transA') === 1);
  const [k2, n] = swapIf(b.shape.slice(-2), call.int('transB') === 1);
  if (k !== k2) call.failShapes(`inner lengths ${k} and ${k2} differ`);
  const batch = broadcast(call, [
    { ...a, shape: a.shape.slice(0, -2) },
    { ...b, shape: b.shape.slice(0, -2) },
  ]);
  return [{ dtype, shape: [...batch, m, n] }];
};

const swapIf = ([x, y]: readonly Dim[], swap: boolean): [Dim, Dim] => {
  const pair: [Dim, Dim] = [x ?? 1, y ?? 1];
  return swap ? [pair[1], pair[0]] : pair;
};

const gemm: Infer = (call) => {
  const types = matmul(call);
  const [type] = types;
  if (type?.shape.length !== 2) call.failShapes('Gemm takes matrices');
  return types;
};

const transpose: Infer = (call) => {
  const x = call.input(0);
  const perm = call.ints('perm') ?? x.shape.map((_, i) => x.shape.length - 1 - i);
  if (perm.length !== x.shape.length || new Set(perm).size !== perm.length) {
    call.failShapes(`perm [${perm.join(', ')}] is not a permutation of its axes`);
  }
  return [{ dtype: x.dtype, shape: perm.map((p) => x.shape[axisOf(call, p, perm.length)] ?? 1) }];
};

/** Exact when the shape input is a constant; otherwise the caller gives the type. */
const reshape: Infer = (call) => {
  const x = call.input(0);
  const target = call.constantInts(1);
  const given = call.given?.[0]?.shape;
  if (given) {
    if (elementCount(given) !== elementCount(x.shape)) call.failShapes(`[${given.join(', ')}] has another size`);
    return [{ dtype: x.dtype, shape: given }];
  }
  if (!target) return call.failShapes('the target shape is computed: give the type');
  const copies = call.int('allowzero') === 0;
  const dims = target.map((d, i): Dim => (d === 0 && copies ? (x.shape[i] ?? 1) : d));
  const open = dims.indexOf(-1);
  const known = elementCount(dims.filter((d) => d !== -1));
  const rest = open < 0 ? undefined : dimDivide(elementCount(x.shape), known);
  if (open >= 0 && rest === undefined) call.failShapes(`cannot divide into [${dims.join(', ')}]`);
  const shape = dims.map((d) => (d === -1 ? (rest ?? 1) : d));
  if (elementCount(shape) !== elementCount(x.shape)) call.failShapes(`[${shape.join(', ')}] has another size`);
  return [{ dtype: x.dtype, shape }];
};

const concat: Infer = (call) => {
  const values = present(call);
  const first = call.input(0);
  const axis = axisOf(call, call.int('axis'), first.shape.length);
  for (const v of values) {
    if (v.shape.length !== first.shape.length || v.shape.some((d, i) => i !== axis && d !== first.shape[i])) {
      call.failShapes(`they differ on another axis than ${axis}`);
    }
  }
  const length = values.map((v) => v.shape[axis] ?? 0).reduce(dimAdd, 0);
  return [{ dtype: sameDtype(call, values), shape: withAxis(first.shape, axis, length) }];
};

const split: Infer = (call) => {
  const x = call.input(0);
  const axis = axisOf(call, call.int('axis'), x.shape.length);
  const sizes = call.constantInts(1);
  if (sizes) {
    if (sizes.reduce((a, b) => a + b, 0) !== x.shape[axis]) call.failShapes(`sizes ${sizes.join('+')} on axis ${axis}`);
    return sizes.map((size) => ({ dtype: x.dtype, shape: withAxis(x.shape, axis, size) }));
  }
  const parts = call.int('num_outputs', call.outputs);
  const size = dimDivide(x.shape[axis] ?? 0, parts);
  if (size === undefined) return call.failShapes(`axis ${axis} does not divide into ${parts}`);
  return Array.from({ length: parts }, () => ({ dtype: x.dtype, shape: withAxis(x.shape, axis, size) }));
};

const slice: Infer = (call) => {
  const x = call.input(0);
  const [starts, ends] = [call.constantInts(1), call.constantInts(2)];
  const axes = call.inputs[3] ? call.constantInts(3) : starts?.map((_, i) => i);
  const steps = call.inputs[4] ? call.constantInts(4) : starts?.map(() => 1);
  if (!starts || !ends || !axes || !steps) {
    return call.given ? [...call.given] : call.failShapes('bounds must be constants');
  }
  const shape = [...x.shape];
  axes.forEach((a, i) => {
    const axis = axisOf(call, a, shape.length);
    shape[axis] = sliceLength(call, shape[axis] ?? 1, starts[i] ?? 0, ends[i] ?? 0, steps[i] ?? 1);
  });
  return [{ dtype: x.dtype, shape }];
};

const gather: Infer = (call) => {
  const [x, indices] = [call.input(0), call.input(1)];
  const axis = axisOf(call, call.int('axis'), x.shape.length);
  return [{ dtype: x.dtype, shape: [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)] }];
};

const unsqueeze: Infer = (call) => {
  const x = call.input(0);
  const axes = call.constantInts(1);
  if (!axes) return call.failShapes('the axes must be a constant');
  const rank = x.shape.length + axes.length;
  const chosen = new Set(axes.map((a) => axisOf(call, a, rank)));
  let next = 0;
  const shape = Array.from({ length: rank }, (_, i): Dim => (chosen.has(i) ? 1 : (x.shape[next++] ?? 1)));
  return [{ dtype: x.dtype, shape }];
};

const squeeze: Infer = (call) => {
  const x = call.input(0);
  const axes = call.constantInts(1);
  if (!axes) return call.failShapes('the axes must be a constant');
  const chosen = new Set(axes.map((a) => axisOf(call, a, x.shape.length)));
  for (const a of chosen) if (x.shape[a] !== 1) call.failShapes(`axis ${a} is ${x.shape[a]}, not 1`);
  return [{ dtype: x.dtype, shape: x.shape.filter((_, i) => !chosen.has(i)) }];
};

const cast: Infer = (call) => {
  const dtype = fromOnnxCode(call.int('to'));
  if (!dtype) return call.fail(`to type ${call.int('to')}.`, 'Use a type of dtype.ts.');
  return [{ dtype, shape: call.input(0).shape }];
};

const expand: Infer = (call) => {
  const x = call.input(0);
  const target = call.given?.[0]?.shape ?? call.constantInts(1);
  if (!target) return call.failShapes('the target shape is computed: give the type');
  return [{ dtype: x.dtype, shape: broadcast(call, [x, { ...x, shape: target }]) }];
};

const where: Infer = (call) => {
  const [condition, a, b] = [call.input(0), call.input(1), call.input(2)];
  if (condition.dtype !== 'bool') call.fail(`by ${condition.name}, which is ${condition.dtype}.`, 'Compare first.');
  return [{ dtype: sameDtype(call, [a, b]), shape: broadcast(call, [condition, a, b]) }];
};

const shapeOf: Infer = (call) => {
  const rank = call.input(0).shape.length;
  const clamp = (x: number) => Math.min(Math.max(x < 0 ? x + rank : x, 0), rank);
  return [{ dtype: 'int64', shape: [clamp(call.int('end', rank)) - clamp(call.int('start'))] }];
};

const constantOfShape: Infer = (call) => {
  const shape = call.given?.[0]?.shape ?? call.constantInts(0);
  if (!shape) return call.failShapes('the shape is computed: give the type');
  return [{ dtype: 'float32', shape }];
};

/** Layer normalization over the trailing axes from `axis`: output, and the statistics a gradient needs. */
const normalization =
  (statistics: number): Infer =>
  (call) => {
    const [x, scale] = [call.input(0), call.input(1)];
    const axis = axisOf(call, call.int('axis', -1), x.shape.length);
    sameDtype(call, present(call));
    for (const p of present(call).slice(1)) {
      if (p.shape.some((d, i) => d !== 1 && d !== x.shape[x.shape.length - p.shape.length + i])) {
        call.failShapes(`${p.name} does not fit axis ${axis}`);
      }
    }
    const reduced = x.shape.map((d, i): Dim => (i >= axis ? 1 : d));
    const statistic: TensorType = { dtype: scale.dtype === 'float64' ? 'float64' : 'float32', shape: reduced };
    const all: TensorType[] = [
      { dtype: x.dtype, shape: x.shape },
      ...Array.from({ length: statistics }, () => statistic),
    ];
    return all.slice(0, call.outputs);
  };

const rotary: Infer = (call) => {
  const [x, cos, sin] = [call.input(0), call.input(2), call.input(3)];
  const width = x.shape[x.shape.length - 1] ?? 1;
  const half = cos.shape[cos.shape.length - 1];
  if (x.shape.length !== 4) call.failShapes('it takes [B, H, T, D]');
  if (cos.shape.join() !== sin.shape.join() || half !== dimDivide(width, 2)) call.failShapes('tables are [T, D/2]');
  return [{ dtype: x.dtype, shape: x.shape }];
};

const dequantize: Infer = (call) => {
  const [x, scale] = [call.input(0), call.input(1)];
  if (isFloat(x.dtype)) call.fail(`of ${x.name}, which is ${x.dtype}.`, 'It takes 8-bit codes.');
  return [{ dtype: scale.dtype, shape: x.shape }];
};

const std = (infer: Infer, attributes: OperatorSpec['attributes'] = {}): OperatorSpec => ({
  domain: '',
  attributes,
  infer,
});
const ms = (infer: Infer, attributes: OperatorSpec['attributes'] = {}): OperatorSpec => ({
  domain: 'com.microsoft',
  attributes,
  infer,
});

const transposed = { transA: 'int', transB: 'int', alpha: 'float' } as const;
const reduced = { keepdims: 'int', noop_with_empty_axes: 'int' } as const;

/** Every operator the builder knows: domain, attributes, and how output types follow from the inputs. */
export const operators: Readonly<Record<string, OperatorSpec>> = {
  // elementwise, one input
  Neg: std(elementwise),
  Abs: std(elementwise),
  Exp: std(elementwise),
  Log: std(elementwise),
  Sqrt: std(elementwise),
  Reciprocal: std(elementwise),
  Tanh: std(elementwise),
  Sigmoid: std(elementwise),
  Erf: std(elementwise),
  Sin: std(elementwise),
  Cos: std(elementwise),
  Relu: std(elementwise),
  Sign: std(elementwise),
  Gelu: std(elementwise, { approximate: 'string' }),
  QuickGelu: ms(elementwise, { alpha: 'float' }),
  Softmax: std(elementwise, { axis: 'int' }),
  Identity: std((call) => [{ dtype: call.input(0).dtype, shape: call.input(0).shape }]),
  Not: std((call) => [{ dtype: 'bool', shape: call.input(0).shape }]),
  // elementwise, broadcasting
  Add: std(broadcasting),
  Sub: std(broadcasting),
  Mul: std(broadcasting),
  Div: std(broadcasting),
  Pow: std(broadcasting),
  Min: std(broadcasting),
  Max: std(broadcasting),
  Equal: std(comparison),
  Less: std(comparison),
  LessOrEqual: std(comparison),
  Greater: std(comparison),
  GreaterOrEqual: std(comparison),
  And: std(comparison),
  Or: std(comparison),
  Where: std(where),
  // products
  MatMul: std(matmul),
  Gemm: std(gemm, { ...transposed, beta: 'float' }),
  FusedMatMul: ms(matmul, { ...transposed, transBatchA: 'int', transBatchB: 'int' }),
  // reductions and normalization
  ReduceSum: std(reduction, reduced),
  ReduceMean: std(reduction, reduced),
  ReduceMax: std(reduction, reduced),
  LayerNormalization: std(normalization(2), { axis: 'int', epsilon: 'float', stash_type: 'int' }),
  SimplifiedLayerNormalization: std(normalization(1), { axis: 'int', epsilon: 'float', stash_type: 'int' }),
  // movement
  Transpose: std(transpose, { perm: 'ints' }),
  Reshape: std(reshape, { allowzero: 'int' }),
  Concat: std(concat, { axis: 'int' }),
  Split: std(split, { axis: 'int', num_outputs: 'int' }),
  Slice: std(slice),
  Gather: std(gather, { axis: 'int' }),
  Unsqueeze: std(unsqueeze),
  Squeeze: std(squeeze),
  Expand: std(expand),
  Cast: std(cast, { to: 'int', saturate: 'int' }),
  Shape: std(shapeOf, { start: 'int', end: 'int' }),
  ConstantOfShape: std(constantOfShape),
  // transformers and storage
  RotaryEmbedding: ms(rotary, { interleaved: 'int', num_heads: 'int', rotary_embedding_dim: 'int', scale: 'float' }),
  DequantizeLinear: std(dequantize, { axis: 'int', block_size: 'int' }),
};
