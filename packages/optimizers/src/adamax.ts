import type { ArgumentReader } from './internal/arguments.ts';
import type { Rule } from './internal/create-from-rule.ts';

export const adamaxDefaults = { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0 };

/**
 * Adamax (Kingma & Ba 2015, arXiv 1412.6980, §7.1).
 *
 *     m ← β₁m + (1 − β₁)g,   u ← max(β₂u, |g| + eps),   p ← p − lr/(1 − β₁ᵗ) · m/u
 */
export function adamaxRule(className: string, args: ArgumentReader): Rule {
  const [beta1, beta2] = args.betas();
  const eps = args.nonNegative('eps');
  const weightDecay = args.nonNegative('weight_decay');
  return {
    className,
    slots: [{ name: 'exp_avg' }, { name: 'exp_inf' }],
    update: ({ groups, step }) => {
      for (const { learningRate, items } of groups) {
        const rate = learningRate / (1 - beta1 ** step);
        for (const { data: p, gradient, slots } of items) {
          const [m, u] = [slots[0]!, slots[1]!];
          for (let i = 0; i < p.length; i++) {
            const g = gradient[i]! + weightDecay * p[i]!;
            m[i] = m[i]! + (1 - beta1) * (g - m[i]!);
            u[i] = Math.max(beta2 * u[i]!, Math.abs(g) + eps);
            p[i] = p[i]! - (rate * m[i]!) / u[i]!;
          }
        }
      }
    },
  };
}
