import { OptimizerError } from './errors.ts';
import type { ArgumentReader } from './internal/arguments.ts';
import type { Rule } from './internal/create-from-rule.ts';

export const sgdDefaults = { momentum: 0, dampening: 0, weight_decay: 0, nesterov: false };

/**
 * Stochastic gradient descent with momentum (Sutskever et al. 2013).
 *
 *     g ← g + wd·p,   b ← μ·b + (1 − dampening)·g   (b = g at the first step),   p ← p − lr·b
 *     nesterov:  p ← p − lr·(g + μ·b)
 */
export function sgdRule(className: string, args: ArgumentReader): Rule {
  const momentum = args.nonNegative('momentum');
  const dampening = args.number('dampening');
  const weightDecay = args.nonNegative('weight_decay');
  const isNesterov = args.boolean('nesterov');
  if (isNesterov && (momentum === 0 || dampening !== 0)) {
    const problem = `optimizer_args: nesterov=True does not go with momentum=${momentum} and dampening=${dampening}.`;
    const remedy = 'Give a momentum above 0 and no dampening.';
    throw new OptimizerError('OPTIMIZER_ARGUMENT', problem, remedy, { option: 'nesterov', value: true });
  }
  return {
    className,
    slots: momentum === 0 ? [] : [{ name: 'momentum_buffer' }],
    update: ({ groups, step }) => {
      const share = step === 1 ? 1 : 1 - dampening;
      for (const { learningRate, items } of groups) {
        for (const {
          data: p,
          gradient,
          slots: [b],
        } of items) {
          for (let i = 0; i < p.length; i++) {
            const g = gradient[i]! + weightDecay * p[i]!;
            if (b) b[i] = momentum * b[i]! + share * g;
            const direction = !b ? g : isNesterov ? g + momentum * b[i]! : b[i]!;
            p[i] = p[i]! - learningRate * direction;
          }
        }
      }
    },
  };
}
