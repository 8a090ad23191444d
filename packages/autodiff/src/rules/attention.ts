import type { AttentionChunks, Value } from '@musubi/onnx-graph';

import {
  add,
  attentionRows,
  concat,
  full,
  gate,
  gateAll,
  mT,
  matmul,
  mul,
  reduceSum,
  slice,
  softmax,
  sub,
} from '@musubi/onnx-graph';

import { type GradientRule, type RuleCall, need } from './rule.ts';

export const attention = {
  /**
   * `O = P·V`, `P = softmax(c·Q·Kᵀ)`, a piece of the queries at a time (Rabe & Staats 2021; Dao et al. 2022, §3.2):
   *
   *     V̄ += PᵀŌ,   S̄ = P ⊙ (Ō·Vᵀ − ⟨Ō, O⟩),   Q̄ = c·S̄·K,   K̄ += c·S̄ᵀ·Q
   *
   * The probabilities are computed again here, so nothing of the size queries times keys is kept for the backward pass.
   */
  Attention: (call) => {
    let known: readonly Value[] | undefined;
    const gradients = () => (known ??= gradientsOf(call));
    return [0, 1, 2].map((i) => () => need(gradients()[i]));
  },
} satisfies Record<string, GradientRule>;

function gradientsOf({ inputs, outputs, cotangent, attribute, attention: plan }: RuleCall): readonly Value[] {
  const [q, k, v] = [need(inputs[0]), need(inputs[1]), need(inputs[2])];
  const dO = cotangent(0);
  const scale = Number(attribute('scale'));
  const inner = reduceSum(mul(dO, need(outputs[0])), [-1]); // [B, H, S, 1]
  // Behind a gate, for else the pieces of the queries would be those of the forward pass, and kept from there on.
  const [queries, cotangents, inners] = [gate(q, [dO]), dO, inner].map((x) => filledRows(x, plan));
  const dQ: Value[] = [];
  let [dK, dV, before]: [Value | undefined, Value | undefined, readonly Value[]] = [undefined, undefined, [dO]];
  for (const [i, rows] of need(queries).entries()) {
    // The gate lets a piece start when the one before it is done, and keeps its scores from being those of the forward pass.
    const [gated, dRows] = gateAll([rows, need(cotangents?.[i])], before);
    const scaled = mul(need(gated), scale);
    const p = softmax(matmul(scaled, mT(k)));
    const dS = mul(p, sub(matmul(need(dRows), mT(v)), need(inners?.[i])));
    const dScaled = mul(matmul(dS, k), scale);
    dQ.push(i === 0 ? dScaled : slice(dScaled, 2, 1));
    dK = accumulate(dK, matmul(mT(dS), scaled));
    dV = accumulate(dV, matmul(mT(p), need(dRows)));
    before = [dScaled, dK, dV];
  }
  return [concat(dQ, 2), need(dK), need(dV)];
}

/**
 * Pieces of `x`, those that may be empty with a row of zeros before them. The row adds nothing to any gradient, and without it
 * products over no rows would be sums over nothing: ONNX Runtime 1.30 leaves what was in memory before in the result of a
 * `FusedMatMul` with an inner length of 0.
 */
function filledRows(x: Value, plan: AttentionChunks): Value[] {
  const pieces = attentionRows(x, plan);
  const [batch = 1, heads = 1, , width = 1] = x.shape;
  const zeros = plan.chunks === 1 ? x : full(x.graph, [batch, heads, 1, width], 0);
  return pieces.map((piece, i) => (i === 0 ? piece : concat([zeros, piece], 2)));
}

const accumulate = (sum: Value | undefined, x: Value): Value => (sum ? add(sum, x) : x);
