import { sigmaOfTimestep } from './flow-schedule.ts';
import { assertNumber } from './internal/numbers.ts';
import { roundTo } from './internal/rounding.ts';
import type { FloatDtype } from './internal/rounding.ts';
import { assertWeightingScheme } from './options.ts';

export interface LossWeightingRequest {
  /** `none`, `logit_normal`, `mode` (no weights), `sigma_sqrt` or `cosmap` */
  readonly weightingScheme: string;
  /** timesteps as the model sees them, one an item */
  readonly timesteps: ArrayLike<number>;
  /** the transformer's dtype, in which weights are computed; default `float32` */
  readonly dtype?: FloatDtype;
}

/**
 * Weight of each item's loss, from the noise level σ of the nearest schedule entry (Esser et al. 2024, arXiv 2403.03206, §3.1):
 *
 *     sigma_sqrt:  σ⁻²          cosmap:  2 / (π·(1 − 2σ + 2σ²))
 *
 * In float16 `sigma_sqrt` is infinite below σ = 0.0039.
 *
 * @returns float32 array `[B]`, or null for the schemes without weights
 * @throws {SamplerError} `UNKNOWN_WEIGHTING`, `BAD_NUMBER` for timesteps that are no numbers, `SAMPLER_OPTION` for the dtype
 *
 * @example
 * ```ts
 * import { lossWeighting } from '@musubi/samplers';
 *
 * console.log(lossWeighting({ weightingScheme: 'sigma_sqrt', timesteps: Float32Array.of(1000, 500) }));
 * // Float32Array(2) [ 1, 4 ]
 * ```
 */
export function lossWeighting({
  weightingScheme,
  timesteps,
  dtype = 'float32',
}: LossWeightingRequest): Float32Array | null {
  assertWeightingScheme(weightingScheme);
  for (const timestep of Array.from(timesteps)) {
    assertNumber('timesteps', timestep, Number.isFinite, 'timesteps from 0 to 1000');
  }
  if (weightingScheme !== 'sigma_sqrt' && weightingScheme !== 'cosmap') return null;
  const weight = weightingScheme === 'sigma_sqrt' ? inverseSquare : cosmap;
  return Float32Array.from(timesteps, (timestep) => weight(sigmaOfTimestep(timestep, dtype), dtype));
}

/**
 * Weights as the original applies them to predictions of four dimensions: there its five-dimensional weights pair every
 * item with every weight, so that each item's loss is multiplied by the mean weight.
 *
 * @throws {SamplerError} `BAD_NUMBER` for NaN
 */
export function broadcastWeights(weights: Float32Array): Float32Array {
  for (const weight of weights) assertNumber('weights', weight, (x) => x >= 0, 'weights of at least 0');
  const mean = weights.reduce((sum, w) => sum + w, 0) / weights.length;
  return new Float32Array(weights.length).fill(mean);
}

function inverseSquare(sigma: number, dtype: FloatDtype): number {
  // PyTorch rounds the square to bfloat16 first, but computes float16 powers in float32.
  const square = dtype === 'float16' ? sigma * sigma : roundTo[dtype](sigma * sigma);
  return roundTo[dtype](1 / square);
}

function cosmap(sigma: number, dtype: FloatDtype): number {
  const round = roundTo[dtype];
  const square = round(2 * round(sigma * sigma));
  const bottom = round(round(1 - round(2 * sigma)) + square);
  return round(2 / round(Math.PI * bottom));
}
