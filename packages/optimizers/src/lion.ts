import type { ArgumentReader } from './internal/arguments.ts';
import type { Rule } from './internal/create-from-rule.ts';

export const lionDefaults = { betas: [0.9, 0.99], weight_decay: 0 };

/**
 * Lion (Chen et al. 2023, arXiv 2302.06675): only the sign of the direction counts.
 *
 *     p ← p(1 − lr·wd) − lr·sign(β₁m + (1 − β₁)g),   m ← β₂m + (1 − β₂)g
 */
export function lionRule(className: string, args: ArgumentReader): Rule {
  const [beta1, beta2] = args.betas();
  const weightDecay = args.nonNegative('weight_decay');
  return {
    className,
    slots: [{ name: 'exp_avg' }],
    update: ({ groups }) => {
      for (const { learningRate, items } of groups) {
        const keep = 1 - learningRate * weightDecay;
        for (const { data: p, gradient: g, slots } of items) {
          const m = slots[0]!;
          for (let i = 0; i < p.length; i++) {
            const direction = Math.sign(beta1 * m[i]! + (1 - beta1) * g[i]!);
            p[i] = p[i]! * keep - learningRate * direction;
            m[i] = beta2 * m[i]! + (1 - beta2) * g[i]!;
          }
        }
      }
    },
  };
}
