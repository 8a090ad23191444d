import { OptimizerError } from './errors.ts';

/**
 * Limits the norm of all gradients together, in place (Pascanu et al. 2012, arXiv 1211.5063, algorithm 1).
 *
 *     n = √(Σ‖g‖²),   g ← g·min(1, maxNorm / (n + 1e-6))
 *
 * @param gradients float32, by parameter name
 * @param maxNorm limit; 0 measures only
 * @returns n before clipping, rounded to float32. When it is not finite, nothing is changed: the caller decides what a
 *   step without a direction means.
 * @throws {OptimizerError} `OPTIMIZER_ARGUMENT` for a limit that is no number of at least 0
 *
 * @example
 * ```ts
 * import { clipGradNorm } from '@musubi/optimizers';
 *
 * const gradient = Float32Array.of(3, 4);
 * console.log(clipGradNorm(new Map([['weight', gradient]]), 1)); // 5
 * console.log([...gradient].map((g) => g.toFixed(2))); // [ '0.60', '0.80' ]
 * ```
 */
export function clipGradNorm(gradients: ReadonlyMap<string, Float32Array>, maxNorm: number): number {
  assertLimit(maxNorm);
  let squares = 0;
  for (const gradient of gradients.values()) squares += norm(gradient) ** 2;
  const total = Math.fround(Math.sqrt(squares));
  const factor = Math.fround(maxNorm / Math.fround(total + 1e-6));
  if (maxNorm > 0 && factor < 1 && Number.isFinite(total)) {
    for (const gradient of gradients.values()) scale(gradient, factor);
  }
  return total;
}

/** Norm of one tensor, rounded to float32 as it is where norms of tensors are combined. */
function norm(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * values[i]!;
  return Math.fround(Math.sqrt(sum));
}

function scale(values: Float32Array, factor: number): void {
  for (let i = 0; i < values.length; i++) values[i]! *= factor;
}

function assertLimit(maxNorm: number): void {
  if (maxNorm >= 0) return;
  const remedy = 'Use a number above 0, e.g. 1, or 0 for no limit.';
  throw new OptimizerError('OPTIMIZER_ARGUMENT', `max_grad_norm = ${maxNorm} is no limit of a norm.`, remedy, {
    option: 'max_grad_norm',
    value: maxNorm,
  });
}
