import type { Adapter, LoraModule } from './adapter.ts';
import { LoraError } from './errors.ts';

export interface WeightNorms {
  /** modules whose norm was above the limit */
  readonly keysScaled: number;
  /** mean and largest norm afterwards */
  readonly mean: number;
  readonly maximum: number;
}

/**
 * Limits the Frobenius norm of every update of a LoRA, in place (`--scale_weight_norms`).
 *
 *     n = max(‖(alpha / rank)·up·down‖, limit / 2),   q = min(n, limit) / n,   up ← √q·up,   down ← √q·down
 *
 * @returns null for an adapter of another kind, whose norms are not limited
 * @throws {LoraError} `NORM_LIMIT` unless `limit` is positive, `NOT_FINITE` for weights without a norm, before any is changed
 */
export function limitWeightNorms(adapter: Adapter, limit: number): WeightNorms | null {
  if (!(limit > 0 && Number.isFinite(limit))) {
    throw new LoraError(
      'NORM_LIMIT',
      `scale_weight_norms = ${limit} is no limit for a norm.`,
      'Use a positive number, e.g. 1.',
      { option: 'scale_weight_norms', found: limit },
    );
  }
  const modules = adapter.modules.filter((module): module is LoraModule => 'down' in module);
  if (modules.length === 0) return null;
  const found = modules.map((module) => finiteNorm(module));
  let keysScaled = 0;
  const norms = modules.map((module, i) => {
    const current = found[i]!;
    const norm = Math.max(current, limit / 2);
    const ratio = Math.fround(Math.min(norm, limit) / norm);
    if (ratio !== 1) {
      keysScaled++;
      scale(module.up, Math.sqrt(ratio));
      scale(module.down, Math.sqrt(ratio));
    }
    return current * ratio;
  });
  const mean = norms.reduce((sum, norm) => sum + norm, 0) / norms.length;
  return { keysScaled, mean, maximum: norms.reduce((most, norm) => Math.max(most, norm), 0) };
}

function finiteNorm(module: LoraModule): number {
  const norm = Math.fround(updateNorm(module));
  if (Number.isFinite(norm)) return norm;
  throw new LoraError(
    'NOT_FINITE',
    `the weights of ${module.name} have the norm ${norm}.`,
    'Lower the learning rate, or start from an adapter whose weights are finite.',
    { module: module.name },
  );
}

/** `‖(alpha / rank)·U·D‖_F`, without the product: `‖U·D‖² = ⟨Uᵀ·U, D·Dᵀ⟩`, two matrices `[rank, rank]`. */
function updateNorm({ rank, alpha, inFeatures, outFeatures, down, up }: LoraModule): number {
  let squares = 0;
  for (let a = 0; a < rank; a++) {
    for (let b = 0; b <= a; b++) {
      let [ups, downs] = [0, 0];
      for (let o = 0; o < outFeatures; o++) ups += up[o * rank + a]! * up[o * rank + b]!;
      for (let i = 0; i < inFeatures; i++) downs += down[a * inFeatures + i]! * down[b * inFeatures + i]!;
      squares += (a === b ? 1 : 2) * ups * downs;
    }
  }
  // Rounding may leave a negative zero of a sum that cancels.
  return (Math.abs(alpha) / rank) * Math.sqrt(Math.max(0, squares));
}

function scale(values: Float32Array, factor: number): void {
  const rounded = Math.fround(factor);
  for (let i = 0; i < values.length; i++) values[i] = values[i]! * rounded;
}
