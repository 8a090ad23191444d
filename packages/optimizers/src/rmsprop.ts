import type { ArgumentReader } from './internal/arguments.ts';
import type { Rule } from './internal/create-from-rule.ts';

export const rmspropDefaults = { alpha: 0.99, eps: 1e-8, weight_decay: 0, momentum: 0, centered: false };

/**
 * RMSprop (Hinton 2012, lecture 6e; centred form Graves 2013, arXiv 1308.0850).
 *
 *     v ← α·v + (1 − α)·g²,   D = √v + eps          centered:  D = √(v − a²) + eps,  a ← α·a + (1 − α)·g
 *     p ← p − lr·g/D                                momentum:  b ← μ·b + g/D,  p ← p − lr·b
 */
export function rmspropRule(className: string, args: ArgumentReader): Rule {
  const alpha = args.beta('alpha');
  const eps = args.nonNegative('eps');
  const weightDecay = args.nonNegative('weight_decay');
  const momentum = args.nonNegative('momentum');
  const isCentered = args.boolean('centered');
  return {
    className,
    slots: [
      { name: 'square_avg' },
      ...(momentum > 0 ? [{ name: 'momentum_buffer' }] : []),
      ...(isCentered ? [{ name: 'grad_avg' }] : []),
    ],
    update: ({ groups }) => {
      for (const { learningRate, items } of groups) {
        for (const { data: p, gradient, slots } of items) {
          const v = slots[0]!;
          const b = momentum > 0 ? slots[1]! : null;
          const a = isCentered ? slots.at(-1)! : null;
          for (let i = 0; i < p.length; i++) {
            const g = gradient[i]! + weightDecay * p[i]!;
            v[i] = alpha * v[i]! + (1 - alpha) * g * g;
            if (a) a[i] = a[i]! + (1 - alpha) * (g - a[i]!);
            // Rounding can make the variance of a constant gradient slightly negative.
            const variance = a ? Math.max(0, v[i]! - a[i]! * a[i]!) : v[i]!;
            const normalized = g / (Math.sqrt(variance) + eps);
            if (b) b[i] = momentum * b[i]! + normalized;
            p[i] = p[i]! - learningRate * (b ? b[i]! : normalized);
          }
        }
      }
    },
  };
}
