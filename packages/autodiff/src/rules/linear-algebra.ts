import type { Value } from '@musubi/onnx-graph';

import { elementCount, mT, matmul, reshape } from '@musubi/onnx-graph';

import { type GradientRule, need } from './rule.ts';

export const linearAlgebra = {
  /** `Y = A·B` over the last two axes: `Ā = Ȳ·Bᵀ`, `B̄ = Aᵀ·Ȳ`. */
  MatMul: ({ inputs, cotangent }) => {
    const [a, b] = [need(inputs[0]), need(inputs[1])];
    return [
      () => matmul(cotangent(0), mT(b)),
      () => (b.shape.length === 2 ? sharedRight(a, cotangent(0)) : matmul(mT(a), cotangent(0))),
    ];
  },
} satisfies Record<string, GradientRule>;

/** `B̄` of a matrix shared by all batches: one product over rows and batches together instead of a sum of products. */
function sharedRight(a: Value, dY: Value): Value {
  return matmul(mT(rows(a)), rows(dY));
}

/** `[…, M, K]` as `[…·M, K]`. */
const rows = (x: Value): Value =>
  x.shape.length === 2 ? x : reshape(x, [elementCount(x.shape.slice(0, -1)), need(x.shape.at(-1))]);
