import { adamStep } from './internal/adam-step.ts';
import type { AdamFactors } from './internal/adam-step.ts';
import type { ArgumentReader } from './internal/arguments.ts';
import type { Rule } from './internal/create-from-rule.ts';

export interface AdamOptions {
  /** decay rates of the first and second moment, default 0.9 and 0.999 */
  readonly betas: readonly [number, number];
  /** added to the denominator, default 1e-8 */
  readonly eps: number;
  readonly weightDecay: number;
  /** weight decay apart from the gradient (AdamW), else added to it (Adam) */
  readonly isDecoupled: boolean;
  /** divide by the largest second moment so far, default false */
  readonly amsgrad: boolean;
}

export const adamwDefaults = { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.01, amsgrad: false };

export const adamDefaults = { ...adamwDefaults, weight_decay: 0 };

/**
 * AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101) and Adam (Kingma & Ba 2015, arXiv 1412.6980).
 *
 *     p ← p·(1 − lr·wd)          Adam instead: g ← g + wd·p
 *     m ← m + (1 − β₁)(g − m),   v ← β₂·v + (1 − β₂)·g²
 *     p ← p − lr/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + eps)
 *
 * One pass over the arrays. Every operation is rounded to float32, as in PyTorch; with `amsgrad` only what is stored.
 */
export function adamRule(className: string, options: AdamOptions): Rule {
  const slots = [{ name: 'exp_avg' }, { name: 'exp_avg_sq' }];
  return {
    className,
    slots: options.amsgrad ? [...slots, { name: 'max_exp_avg_sq' }] : slots,
    update: ({ groups, step }) => {
      for (const { learningRate, items } of groups) {
        const factors = adamFactors(options, learningRate, step);
        for (const {
          data,
          gradient,
          slots: [m, v, largest],
        } of items) {
          if (largest) updateAmsgrad(data, gradient, m!, v!, largest, factors);
          else adamStep(data, gradient, m!, v!, factors);
        }
      }
    },
  };
}

export function readAdamOptions(args: ArgumentReader, isDecoupled: boolean): AdamOptions {
  return {
    betas: args.betas(),
    eps: args.nonNegative('eps'),
    weightDecay: args.nonNegative('weight_decay'),
    amsgrad: args.boolean('amsgrad'),
    isDecoupled,
  };
}

interface Factors extends AdamFactors {
  /** −lr / (1 − β₁ᵗ) */
  readonly stepSize: number;
  /** √(1 − β₂ᵗ) */
  readonly secondCorrection: number;
  readonly eps: number;
}

const f32 = Math.fround;

function adamFactors(options: AdamOptions, learningRate: number, step: number): Factors {
  const { weightDecay, isDecoupled, eps } = options;
  const [beta1, beta2] = options.betas;
  const stepSize = f32(-learningRate / (1 - beta1 ** step));
  const secondCorrection = f32(Math.sqrt(1 - beta2 ** step));
  return {
    keep: f32(isDecoupled ? 1 - learningRate * weightDecay : 1),
    decay: f32(isDecoupled ? 0 : weightDecay),
    firstShare: f32(1 - beta1),
    secondKeep: f32(beta2),
    secondShare: f32(1 - beta2),
    stepSize,
    secondCorrection,
    eps: f32(eps),
    // Numerator and denominator times √(1 − β₂ᵗ): one division a parameter less.
    scale: f32(stepSize * secondCorrection),
    smallest: f32(f32(eps) * secondCorrection),
  };
}

/** As `adamStep`, with the largest second moment so far in the denominator. */
function updateAmsgrad(
  p: Float32Array,
  gradient: Float32Array,
  m: Float32Array,
  v: Float32Array,
  largest: Float32Array,
  factors: Factors,
): void {
  const { keep, decay, firstShare, secondKeep, secondShare, stepSize, secondCorrection, eps } = factors;
  for (let i = 0; i < p.length; i++) {
    const g = gradient[i]! + decay * p[i]!;
    m[i] = m[i]! + firstShare * (g - m[i]!);
    v[i] = v[i]! * secondKeep + secondShare * g * g;
    largest[i] = Math.max(largest[i]!, v[i]!);
    p[i] = p[i]! * keep + (stepSize * m[i]!) / (Math.sqrt(largest[i]!) / secondCorrection + eps);
  }
}
