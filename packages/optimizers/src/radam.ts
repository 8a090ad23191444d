import type { ArgumentReader } from './internal/arguments.ts';
import type { Rule } from './internal/create-from-rule.ts';

export const radamDefaults = { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0, decoupled_weight_decay: false };

/**
 * RAdam, Adam that waits until its second moment is trustworthy (Liu et al. 2020, arXiv 1908.03265).
 *
 *     ρ_t > 5:  p ← p − lr·m̂·rect·√(1 − β₂ᵗ)/(√v + eps),   else  p ← p − lr·m̂,      m̂ = m/(1 − β₁ᵗ)
 */
export function radamRule(className: string, args: ArgumentReader): Rule {
  const [beta1, beta2] = args.betas();
  const eps = args.nonNegative('eps');
  const weightDecay = args.nonNegative('weight_decay');
  const isDecoupled = args.boolean('decoupled_weight_decay');
  return {
    className,
    slots: [{ name: 'exp_avg' }, { name: 'exp_avg_sq' }],
    update: ({ groups, step }) => {
      const rect = rectification(beta2, step, 5);
      const adaptive = rect === null ? null : rect * Math.sqrt(1 - beta2 ** step);
      for (const { learningRate, items } of groups) {
        const rate = learningRate / (1 - beta1 ** step);
        const keep = isDecoupled ? 1 - learningRate * weightDecay : 1;
        const decay = isDecoupled ? 0 : weightDecay;
        for (const { data: p, gradient, slots } of items) {
          const [m, v] = [slots[0]!, slots[1]!];
          for (let i = 0; i < p.length; i++) {
            const g = gradient[i]! + decay * p[i]!;
            m[i] = m[i]! + (1 - beta1) * (g - m[i]!);
            v[i] = beta2 * v[i]! + (1 - beta2) * g * g;
            const scale = adaptive === null ? 1 : adaptive / (Math.sqrt(v[i]!) + eps);
            p[i] = p[i]! * keep - rate * m[i]! * scale;
          }
        }
      }
    },
  };
}

/**
 * Variance rectification of RAdam, or null while the length ρ_t of the average is at most `threshold`.
 *
 *     ρ∞ = 2/(1 − β₂) − 1,   ρ_t = ρ∞ − 2tβ₂ᵗ/(1 − β₂ᵗ),   rect = √((ρ_t − 4)(ρ_t − 2)ρ∞ / ((ρ∞ − 4)(ρ∞ − 2)ρ_t))
 */
export function rectification(beta2: number, step: number, threshold: number): number | null {
  const limit = 2 / (1 - beta2) - 1;
  const rho = limit - (2 * step * beta2 ** step) / (1 - beta2 ** step);
  if (!(rho > threshold)) return null;
  return Math.sqrt(((rho - 4) * (rho - 2) * limit) / ((limit - 4) * (limit - 2) * rho));
}
