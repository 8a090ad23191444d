import type { ArgumentReader } from './internal/arguments.ts';
import type { Rule } from './internal/create-from-rule.ts';

export const nadamDefaults = {
  betas: [0.9, 0.999],
  eps: 1e-8,
  weight_decay: 0,
  momentum_decay: 4e-3,
  decoupled_weight_decay: false,
};

/**
 * NAdam, Adam with Nesterov momentum (Dozat 2016).
 *
 *     μ_t = β₁(1 − ½·0.96^(t·ψ)),   Π_t = μ_1 … μ_t,   D = √(v/(1 − β₂ᵗ)) + eps
 *     p ← p − lr(1 − μ_t)/(1 − Π_t) · g/D − lr·μ_{t+1}/(1 − Π_{t+1}) · m/D
 */
export function nadamRule(className: string, args: ArgumentReader): Rule {
  const [beta1, beta2] = args.betas();
  const eps = args.nonNegative('eps');
  const weightDecay = args.nonNegative('weight_decay');
  const momentumDecay = args.nonNegative('momentum_decay');
  const isDecoupled = args.boolean('decoupled_weight_decay');
  const momentumAt = (t: number): number => beta1 * (1 - 0.5 * 0.96 ** (t * momentumDecay));
  return {
    className,
    slots: [{ name: 'exp_avg' }, { name: 'exp_avg_sq' }],
    numbers: { mu_product: 1 },
    update: ({ groups, step, numbers }) => {
      const [mu, muNext] = [momentumAt(step), momentumAt(step + 1)];
      const product = numbers['mu_product']! * mu;
      numbers['mu_product'] = product;
      const secondCorrection = 1 - beta2 ** step;
      for (const { learningRate, items } of groups) {
        const gradientRate = (learningRate * (1 - mu)) / (1 - product);
        const momentRate = (learningRate * muNext) / (1 - product * muNext);
        const keep = isDecoupled ? 1 - learningRate * weightDecay : 1;
        const decay = isDecoupled ? 0 : weightDecay;
        for (const { data: p, gradient, slots } of items) {
          const [m, v] = [slots[0]!, slots[1]!];
          for (let i = 0; i < p.length; i++) {
            const g = gradient[i]! + decay * p[i]!;
            m[i] = m[i]! + (1 - beta1) * (g - m[i]!);
            v[i] = beta2 * v[i]! + (1 - beta2) * g * g;
            const denominator = Math.sqrt(v[i]! / secondCorrection) + eps;
            p[i] = p[i]! * keep - (gradientRate * g + momentRate * m[i]!) / denominator;
          }
        }
      }
    },
  };
}
