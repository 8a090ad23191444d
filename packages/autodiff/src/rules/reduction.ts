import type { Dim, Value } from '@musubi/onnx-graph';

import { dimDivide, div, elementCount, elementCountValue, expand, reshape } from '@musubi/onnx-graph';

import { type GradientRule, type RuleCall, need } from './rule.ts';

export const reduction = {
  /** Every summand gets the sum's cotangent. */
  ReduceSum: (call) => [() => spread(call), null],
  /** `ȳ/n` for each of the `n` elements of a mean. */
  ReduceMean: (call) => [
    () => {
      const {
        inputs: [x],
        outputs: [y],
        cotangent,
      } = call;
      const count = dimDivide(elementCount(need(x).shape), elementCount(need(y).shape));
      const dY = cotangent(0);
      return spread(call, div(dY, elementCountValue(dY.graph, [need(count)], dY.dtype)));
    },
    null,
  ],
} satisfies Record<string, GradientRule>;

/** The cotangent repeated along the reduced axes. */
function spread({ inputs: [x, axes], cotangent, attribute }: RuleCall, dY: Value = cotangent(0)): Value {
  const { shape } = need(x);
  const listed = axes?.data ? Array.from(axes.data.data as BigInt64Array, Number) : [];
  const reduced = new Set(listed.map((a) => (a < 0 ? a + shape.length : a)));
  const all = reduced.size === 0 && attribute('noop_with_empty_axes') !== 1;
  const kept = shape.map((d, i): Dim => (all || reduced.has(i) ? 1 : d));
  return expand(attribute('keepdims') === 0 ? reshape(dY, kept) : dY, shape);
}
