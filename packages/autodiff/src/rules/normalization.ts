import type { Value } from '@musubi/onnx-graph';

import { mul, reduceMean, reduceSum, sub } from '@musubi/onnx-graph';

import { type GradientRule, need } from './rule.ts';

export const normalization = {
  /** `y = softmax(x)`: `x̄ = y ⊙ (ȳ − ⟨ȳ, y⟩)`, the inner product along the axis. */
  Softmax: (call) => [
    () => {
      const [y, dY] = [need(call.outputs[0]), call.cotangent(0)];
      const axis = Number(call.attribute('axis') ?? -1);
      return mul(y, sub(dY, attentionInner(call, axis) ?? reduceSum(mul(dY, y), [axis])));
    },
  ],
  /** `y = x̂·γ + β`, `x̂ = (x − μ)·s`: `x̄ = s(g − mean(g) − x̂·mean(g ⊙ x̂))` with `g = ȳ·γ` (Ba et al. 2016). */
  LayerNormalization: ({ inputs, outputs, cotangent }) => {
    const [x, scale] = [need(inputs[0]), need(inputs[1])];
    const [y, mean, invStd] = [need(outputs[0]), need(outputs[1]), need(outputs[2])];
    const plain = isOne(scale) && !inputs[2];
    const normalized = () => (plain ? y : mul(sub(x, mean), invStd));
    return [
      () => {
        const g = isOne(scale) ? cotangent(0) : mul(cotangent(0), scale);
        const xHat = normalized();
        const projected = mul(xHat, reduceMean(mul(g, xHat), [-1]));
        return mul(sub(sub(g, reduceMean(g, [-1])), projected), invStd);
      },
      () => mul(cotangent(0), normalized()),
      () => cotangent(0),
    ];
  },
  /** `y = x̂·γ`, `x̂ = x·s`, `s = 1/√(mean(x²) + ε)`: `x̄ = s(g − x̂·mean(g ⊙ x̂))` (Zhang & Sennrich 2019). */
  SimplifiedLayerNormalization: ({ inputs, outputs, cotangent }) => {
    const [x, scale, invStd] = [need(inputs[0]), need(inputs[1]), need(outputs[1])];
    return [
      () => {
        const g = mul(cotangent(0), scale);
        const xHat = mul(x, invStd);
        return mul(sub(g, mul(xHat, reduceMean(mul(g, xHat), [-1]))), invStd);
      },
      () => mul(cotangent(0), mul(x, invStd)),
    ];
  },
} satisfies Record<string, GradientRule>;

/**
 * In `O = P·V` with `P` from a softmax over its last axis, `⟨P̄, P⟩` of a row equals `⟨Ō, O⟩` (Dao 2023, §3.1): a sum
 * over the head's width instead of over all keys.
 */
function attentionInner(call: Parameters<GradientRule>[0], axis: number): Value | undefined {
  const next = call.soleConsumer();
  const [p] = next?.node.inputs ?? [];
  const rows = need(call.outputs[0]).shape.slice(0, -1);
  const lastAxis = axis === -1 || axis === rows.length;
  if (!next || next.node.op !== 'MatMul' || p !== call.node.outputs[0] || !lastAxis) return undefined;
  if (next.output.shape.slice(0, -1).join() !== rows.join()) return undefined;
  return reduceSum(mul(next.cotangent, next.output), [-1]);
}

/** True for the scale that `layerNorm` makes when the model has none: ones, built at run time. */
function isOne(scale: Value): boolean {
  const [one] = scale.producer?.op === 'Expand' ? scale.producer.inputs : [];
  return one?.data?.data.length === 1 && Number(one.data.data[0]) === 1;
}
