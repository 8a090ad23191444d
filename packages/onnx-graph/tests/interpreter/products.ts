import type { Call, Implementation } from './call.ts';
import type { Tensor64 } from './tensor.ts';

import { broadcastShape, broadcastTo, map, sizeOf, transpose, zip } from './tensor.ts';

/** `A·B` over the last two axes, the others broadcast. */
function matmul(a: Tensor64, b: Tensor64): Tensor64 {
  const [m, k] = a.shape.slice(-2) as [number, number];
  const [k2, n] = b.shape.slice(-2) as [number, number];
  if (k !== k2) throw new RangeError(`inner lengths ${k} and ${k2} differ`);
  const batch = broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const left = broadcastTo(a, [...batch, m, k]).data;
  const right = broadcastTo(b, [...batch, k, n]).data;
  const data = new Float64Array(sizeOf(batch) * m * n);
  for (let i = 0; i < data.length; i++) {
    const [row, column] = [Math.floor(i / n), i % n];
    const first = Math.floor(row / m) * k * n + column;
    let sum = 0;
    for (let j = 0; j < k; j++) sum += (left[row * k + j] ?? NaN) * (right[first + j * n] ?? NaN);
    data[i] = sum;
  }
  return { shape: [...batch, m, n], data };
}

function operand(call: Call, index: number, attribute: 'transA' | 'transB'): Tensor64 {
  const x = call.input(index);
  const last = x.shape.length - 1;
  const isTransposed = call.number(attribute, 0) === 1;
  return isTransposed ? transpose(x, [...[...x.shape.keys()].slice(0, last - 1), last, last - 1]) : x;
}

const product: Implementation = (call) => {
  const alpha = call.number('alpha', 1);
  return map(matmul(operand(call, 0, 'transA'), operand(call, 1, 'transB')), (x) => alpha * x);
};

/** `α·A·B + β·C`. */
const gemm: Implementation = (call) => {
  const ab = product(call) as Tensor64;
  const c = call.inputs[2];
  const beta = call.number('beta', 1);
  return c ? zip([ab, broadcastTo(c, ab.shape)], (x, y) => x + beta * y) : ab;
};

export const products = {
  MatMul: product,
  Gemm: gemm,
  FusedMatMul: product,
} satisfies Record<string, Implementation>;
