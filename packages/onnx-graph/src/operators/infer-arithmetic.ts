import type { Dim, Shape } from '../dim.ts';
import type { Infer, OperatorCall } from './infer.ts';

import { formatShape } from '../dim.ts';
import { isFloat } from '../dtype.ts';
import { axisOf, broadcast, present, requireDtype, requireFloat, requireNumber, sameDtype } from './shapes.ts';

/** One float in, the same type out. */
export const elementwise: Infer = (call) => {
  const x = call.input(0);
  requireFloat(call, x);
  return [{ dtype: x.dtype, shape: x.shape }];
};

/** Any type, unchanged. */
export const identity: Infer = (call) => [{ dtype: call.input(0).dtype, shape: call.input(0).shape }];

export const softmax: Infer = (call) => {
  axisOf(call, call.int('axis', -1), call.input(0).shape.length);
  return elementwise(call);
};

export const gelu: Infer = (call) => {
  const approximate = call.string('approximate', 'none');
  if (approximate !== 'none' && approximate !== 'tanh') {
    call.failAttribute(`with approximate = ${approximate}.`, 'It is none or tanh.');
  }
  return elementwise(call);
};

/** Several of one dtype, broadcast together. */
export const broadcasting: Infer = (call) => {
  const values = present(call);
  requireNumber(call, call.input(0));
  return [{ dtype: sameDtype(call, values), shape: broadcast(call, values) }];
};

/** Integers of one dtype, broadcast together. */
export const bitwise: Infer = (call) => {
  const { name, dtype } = call.input(0);
  if (isFloat(dtype)) call.fail(`of ${name}, which is ${dtype}.`, 'It computes with integers.');
  return broadcasting(call);
};

const truth = (call: OperatorCall): ReturnType<Infer> => {
  sameDtype(call, present(call));
  return [{ dtype: 'bool', shape: broadcast(call, present(call)) }];
};

export const comparison: Infer = (call) => {
  requireNumber(call, call.input(0));
  return truth(call);
};

export const equality: Infer = (call) => {
  if (call.input(0).dtype !== 'bool') requireNumber(call, call.input(0));
  return truth(call);
};

export const logical: Infer = (call) => {
  requireDtype(call, call.input(0), 'bool');
  return truth(call);
};

export const where: Infer = (call) => {
  const [condition, a, b] = [call.input(0), call.input(1), call.input(2)];
  if (condition.dtype !== 'bool') call.fail(`by ${condition.name}, which is ${condition.dtype}.`, 'Compare first.');
  return [{ dtype: sameDtype(call, [a, b]), shape: broadcast(call, [condition, a, b]) }];
};

export const reduction: Infer = (call) => {
  const x = call.input(0);
  requireNumber(call, x);
  const axes = call.inputs[1] ? call.constantInts(1) : [];
  if (!axes) return call.failShapes('the axes must be a constant');
  const chosen = new Set(axes.map((a) => axisOf(call, a, x.shape.length)));
  const all = chosen.size === 0 && call.int('noop_with_empty_axes') === 0;
  const keep = call.int('keepdims', 1) === 1;
  const shape = x.shape.flatMap((d, i): Dim[] => (all || chosen.has(i) ? (keep ? [1] : []) : [d]));
  return [{ dtype: x.dtype, shape }];
};

export const matmul: Infer = (call) => {
  const [a, b] = [call.input(0), call.input(1)];
  const dtype = sameDtype(call, [a, b]);
  requireFloat(call, a);
  if (a.shape.length < 2 || b.shape.length < 2) call.failShapes('both sides need two axes');
  const [m, k] = swapIf(a.shape.slice(-2), call.int('transA') === 1);
  const [k2, n] = swapIf(b.shape.slice(-2), call.int('transB') === 1);
  if (k !== k2) call.failShapes(`inner lengths ${k} and ${k2} differ`);
  const batch = broadcast(call, [{ shape: a.shape.slice(0, -2) }, { shape: b.shape.slice(0, -2) }]);
  return [{ dtype, shape: [...batch, m, n] }];
};

const swapIf = ([x, y]: Shape, swap: boolean): [Dim, Dim] => {
  const pair: [Dim, Dim] = [x ?? 1, y ?? 1];
  return swap ? [pair[1], pair[0]] : pair;
};

/** The summand broadcasts to the product, never the other way round. */
export const gemm: Infer = (call) => {
  const [product] = matmul(call);
  if (product?.shape.length !== 2) return call.failShapes('Gemm takes matrices');
  const summand = call.inputs[2];
  if (summand) {
    sameDtype(call, present(call));
    const sum = broadcast(call, [product, summand]);
    if (formatShape(sum) !== formatShape(product.shape)) {
      call.failShapes(`${summand.name} does not broadcast to ${formatShape(product.shape)}`);
    }
  }
  return [product];
};
