import { assertNumber, isPositive, isProbability } from './internal/numbers.ts';
import { probit, probitClamped } from './probit.ts';

/** Height and width of the latents. */
export interface LatentSize {
  readonly height: number;
  readonly width: number;
}

/** A distribution of t ∈ [0, 1], as a monotone function of one base number. */
export interface Distribution {
  /** what the base number is: uniform on [0, 1) or standard normal */
  readonly base: 'uniform' | 'normal';
  readonly toTimestep: (x: number) => number;
}

/**
 * The quantile function `u ∈ [0, 1) → t` of a distribution; a normal base is reached through the clamped inverse. It throws
 * `BAD_NUMBER` where u is no probability.
 *
 * @example
 * ```ts
 * import { logitNormal, quantile } from '@musubi/samplers';
 *
 * const median = quantile(logitNormal(1, 3))(0.5);
 * console.log(median.toFixed(2)); // 0.75
 * ```
 */
export function quantile({ base, toTimestep }: Distribution): (u: number) => number {
  const fromUniform = base === 'uniform' ? toTimestep : (u: number) => toTimestep(probitClamped(u));
  return (u) => {
    assertNumber('u', u, isProbability, 'a number from 0 to 1');
    return fromUniform(u);
  };
}

/** All noise levels alike: `t = u`. */
export function uniform(): Distribution {
  return { base: 'uniform', toTimestep: (u) => u };
}

/**
 * Logit-normal noise levels, moved towards noise by a shift (Esser et al. 2024, arXiv 2403.03206, §3.1 and §5.3.2).
 *
 *     t' = σ(k·z),   t = s·t' / (1 + (s − 1)·t')
 *
 * @param sigmoidScale k, default 1; larger is flatter
 * @param shift s > 0, default 1 (none)
 * @throws {SamplerError} `BAD_NUMBER`
 */
export function logitNormal(sigmoidScale = 1, shift = 1): Distribution {
  assertNumber('sigmoid_scale', sigmoidScale, Number.isFinite, 'a number');
  assertNumber('shift', shift, isPositive, 'a positive number');
  return {
    base: 'normal',
    toTimestep: (z) => {
      const t = sigmoid(sigmoidScale * z);
      return (shift * t) / (1 + (shift - 1) * t);
    },
  };
}

/**
 * Style-friendly noise levels: the log signal-to-noise ratio is normal (Choi et al. 2024, arXiv 2411.14793).
 *
 *     λ = mean + std·z,   t = σ(−λ/2)      since λ = 2·ln((1 − t)/t) on a rectified-flow path
 *
 * @throws {SamplerError} `BAD_NUMBER`
 */
export function logsnr(mean = 0, std = 1): Distribution {
  assertNumber('logit_mean', mean, Number.isFinite, 'a number');
  assertNumber('logit_std', std, (x) => x >= 0 && x < Infinity, 'a number of at least 0');
  return { base: 'normal', toTimestep: (z) => sigmoid(-(mean + std * z) / 2) };
}

/**
 * Ideogram 4's logit-normal, whose mean follows the picture's size.
 *
 *     m = ½·ln(256·h·w / 512²),   t = σ(m + 1.5·Φ⁻¹(u)),   clamped to [1 − 1/(1 + e^−7.5), 1 − 1/(1 + e^9)]
 *
 * @throws {SamplerError} `BAD_NUMBER` for a size that is none
 */
export function ideogram4({ height, width }: LatentSize): Distribution {
  for (const [name, size] of Object.entries({ height, width }))
    assertNumber(name, size, isPositive, 'a positive number');
  const mean = 0.5 * Math.log((256 * height * width) / 512 ** 2);
  const lowest = 1 - 1 / (1 + Math.exp(-7.5));
  const highest = 1 - 1 / (1 + Math.exp(9));
  return {
    base: 'uniform',
    toTimestep: (u) => clamp(sigmoid(mean + 1.5 * probit(clamp(u, 1e-7, 1 - 1e-7))), lowest, highest),
  };
}

/** `e^μ` with μ on the line through (tokens0, mu0) and (tokens1, mu1), continued beyond both. */
export function shiftForTokens(
  tokens: number,
  [tokens0, mu0]: readonly [number, number],
  [tokens1, mu1]: readonly [number, number],
): number {
  const slope = (mu1 - mu0) / (tokens1 - tokens0);
  return Math.exp(slope * tokens + (mu0 - slope * tokens0));
}

export function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

function clamp(x: number, low: number, high: number): number {
  return Math.min(Math.max(x, low), high);
}
