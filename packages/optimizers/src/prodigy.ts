import { OptimizerError } from './errors.ts';
import type { ArgumentReader } from './internal/arguments.ts';
import type { Rule, StepContext } from './internal/create-from-rule.ts';

export const prodigyDefaults = {
  betas: [0.9, 0.999],
  beta3: null,
  eps: 1e-8,
  weight_decay: 0,
  decouple: true,
  use_bias_correction: false,
  safeguard_warmup: false,
  d0: 1e-6,
  d_coef: 1,
  growth_rate: Infinity,
};

/**
 * Prodigy, which estimates the distance d to the solution and with it the step size (Mishchenko & Defazio 2024,
 * arXiv 2306.06101); the learning rate is usually 1.
 *
 *     λ = d·lr·bc,   bc = use_bias_correction ? √(1 − β₂ᵗ)/(1 − β₁ᵗ) : 1
 *     num ← β₃·num + Σ (d/d0)·λ·⟨g, p₀ − p⟩,   s ← β₃·s + (d/d0)·(safeguard_warmup ? d : λ)·g,   d̂ = d_coef·num/Σ|s|
 *     m ← β₁m + (1 − β₁)d·g,   v ← β₂v + (1 − β₂)d²g²
 *     d ← min(max(all d̂), d·growth_rate),   p ← p(1 − wd·λ) − λ·m/(√v + d·eps)
 *
 * λ is that of the old d, d in the last line the new one. β₃ is √β₂ unless given.
 */
export function prodigyRule(className: string, args: ArgumentReader): Rule {
  const [beta1, beta2] = args.betas();
  const beta3 = args.isGiven('beta3') ? args.beta('beta3') : Math.sqrt(beta2);
  const eps = args.nonNegative('eps');
  const weightDecay = args.nonNegative('weight_decay');
  const isDecoupled = args.boolean('decouple');
  const correctsBias = args.boolean('use_bias_correction');
  const isSafeguarded = args.boolean('safeguard_warmup');
  const d0 = args.number('d0', (x) => x > 0, 'a positive number');
  const coefficient = args.number('d_coef', (x) => x > 0, 'a positive number');
  const growthRate = args.number('growth_rate', (x) => x > 0, 'a positive number');

  return {
    className,
    slots: [
      { name: 'exp_avg' },
      { name: 'exp_avg_sq' },
      { name: 's' },
      { name: 'p0', fill: (p0, { data }) => p0.set(data) },
    ],
    numbers: { d: d0, d_max: d0, d_numerator: 0, k: 0 },
    stepSizeEstimate: (numbers) => numbers['d']!,
    update: ({ groups, numbers }) => {
      const learningRate = commonRate(groups);
      const d = numbers['d']!;
      // Counts the steps that moved something, as the original does.
      const t = numbers['k']! + 1;
      const correction = correctsBias ? Math.sqrt(1 - beta2 ** t) / (1 - beta1 ** t) : 1;
      const lambda = d * learningRate * correction;
      let numerator = numbers['d_numerator']! * beta3;
      let denominator = 0;

      for (const { learningRate: own, items } of groups) {
        if (own === 0) continue;
        for (const { data: p, gradient, slots } of items) {
          const [m, v, s, p0] = [slots[0]!, slots[1]!, slots[2]!, slots[3]!];
          let inner = 0;
          for (let i = 0; i < p.length; i++) {
            const g = gradient[i]! + (isDecoupled ? 0 : weightDecay * p[i]!);
            inner += g * (p0[i]! - p[i]!);
            m[i] = beta1 * m[i]! + d * (1 - beta1) * g;
            v[i] = beta2 * v[i]! + d * d * (1 - beta2) * g * g;
            s[i] = beta3 * s[i]! + (d / d0) * (isSafeguarded ? d : lambda) * g;
            denominator += Math.abs(s[i]!);
          }
          numerator += (d / d0) * lambda * inner;
        }
      }
      numbers['d_numerator'] = numerator;
      if (denominator === 0) return; // No gradient yet: nothing is known and nothing moves.

      const estimate = learningRate > 0 ? (coefficient * numerator) / denominator : d;
      const started = d === d0 ? Math.max(d, estimate) : d;
      const largest = Math.max(numbers['d_max']!, estimate);
      const next = Math.min(largest, started * growthRate);
      Object.assign(numbers, { d: next, d_max: largest, k: t });
      for (const { learningRate: own, items } of groups) {
        if (own === 0) continue;
        for (const { data: p, slots } of items) {
          const [m, v] = [slots[0]!, slots[1]!];
          const keep = isDecoupled ? 1 - weightDecay * lambda : 1;
          for (let i = 0; i < p.length; i++) {
            p[i] = p[i]! * keep - (lambda * m[i]!) / (Math.sqrt(v[i]!) + next * eps);
          }
        }
      }
    },
  };
}

/** The rate that all groups share; groups at 0 rest. */
function commonRate(groups: StepContext['groups']): number {
  const rates = new Set(groups.map(({ learningRate }) => learningRate).filter((rate) => rate > 0));
  if (rates.size <= 1) return [...rates][0] ?? 0;
  const problem = `Prodigy estimates one step size for all groups, but their learning rates are ${[...rates].join(' and ')}.`;
  const remedy = 'Give all groups the same rate: remove loraplus_lr_ratio.';
  throw new OptimizerError('BAD_LEARNING_RATE', problem, remedy, { option: 'learningRates', value: [...rates] });
}
