import type { ArgumentReader } from './internal/arguments.ts';
import type { Rule } from './internal/create-from-rule.ts';

export const adagradDefaults = { lr_decay: 0, weight_decay: 0, initial_accumulator_value: 0, eps: 1e-10 };

/** Adagrad (Duchi et al. 2011): `v ← v + g²`, `p ← p − lr/(1 + (t − 1)·lr_decay) · g/(√v + eps)`. */
export function adagradRule(className: string, args: ArgumentReader): Rule {
  const rateDecay = args.nonNegative('lr_decay');
  const weightDecay = args.nonNegative('weight_decay');
  const initial = args.nonNegative('initial_accumulator_value');
  const eps = args.nonNegative('eps');
  return {
    className,
    slots: [{ name: 'sum', fill: (v) => v.fill(initial) }],
    update: ({ groups, step }) => {
      for (const { learningRate, items } of groups) {
        const rate = learningRate / (1 + (step - 1) * rateDecay);
        for (const { data: p, gradient, slots } of items) {
          const v = slots[0]!;
          for (let i = 0; i < p.length; i++) {
            const g = gradient[i]! + weightDecay * p[i]!;
            v[i] = v[i]! + g * g;
            p[i] = p[i]! - (rate * g) / (Math.sqrt(v[i]!) + eps);
          }
        }
      }
    },
  };
}
