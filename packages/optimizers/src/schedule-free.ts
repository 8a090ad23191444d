import { OptimizerError } from './errors.ts';
import type { ArgumentReader } from './internal/arguments.ts';
import type { Rule } from './internal/create-from-rule.ts';
import { rectification } from './radam.ts';

const averaging = { weight_decay: 0, r: 0, weight_lr_power: 2 };

export const adamwScheduleFreeDefaults = { betas: [0.9, 0.999], eps: 1e-8, warmup_steps: 0, ...averaging };
export const sgdScheduleFreeDefaults = { momentum: 0.9, warmup_steps: 0, ...averaging };
export const radamScheduleFreeDefaults = { betas: [0.9, 0.999], eps: 1e-8, silent_sgd_phase: true, ...averaging };

/** Direction of one step and the factor on the learning rate that comes with it. */
interface Direction {
  readonly rateFactor: number;
  /** √(1 − β₂ᵗ), by which the root of the second moment is divided; null: the gradient as it is */
  readonly secondCorrection: number | null;
}

interface Variant {
  readonly beta1: number;
  /** null: without a second moment */
  readonly beta2: number | null;
  readonly eps: number;
  readonly directionAt: (step: number) => Direction;
}

/** Schedule-free AdamW (Defazio et al. 2024, arXiv 2405.15682). */
export function adamwScheduleFreeRule(className: string, args: ArgumentReader): Rule {
  const [beta1, beta2] = args.betas();
  const warmupSteps = args.nonNegative('warmup_steps');
  return scheduleFreeRule(className, args, {
    beta1,
    beta2,
    eps: args.nonNegative('eps'),
    directionAt: (t) => ({ rateFactor: warmUp(t, warmupSteps), secondCorrection: Math.sqrt(1 - beta2 ** t) }),
  });
}

/** Schedule-free SGD (Defazio et al. 2024, arXiv 2405.15682); β₁ is `momentum`. */
export function sgdScheduleFreeRule(className: string, args: ArgumentReader): Rule {
  const warmupSteps = args.nonNegative('warmup_steps');
  return scheduleFreeRule(className, args, {
    beta1: args.beta('momentum'),
    beta2: null,
    eps: 0,
    directionAt: (t) => ({ rateFactor: warmUp(t, warmupSteps), secondCorrection: null }),
  });
}

/** Schedule-free RAdam: rectification takes the place of the warm-up. */
export function radamScheduleFreeRule(className: string, args: ArgumentReader): Rule {
  const [beta1, beta2] = args.betas();
  const isSilent = args.boolean('silent_sgd_phase');
  return scheduleFreeRule(className, args, {
    beta1,
    beta2,
    eps: args.nonNegative('eps'),
    directionAt: (t) => {
      const rect = rectification(beta2, t, 4);
      if (rect === null) return { rateFactor: isSilent ? 0 : 1, secondCorrection: null };
      return { rateFactor: rect, secondCorrection: Math.sqrt(1 - beta2 ** t) };
    },
  });
}

/**
 * The averaging that all three share. Stored parameters are y while training and x when switched to eval; z is the
 * sequence of plain steps, and starts at the parameters.
 *
 *     ĝ = g/(√v/√(1 − β₂ᵗ) + eps) + wd·y,   weight = tʳ·(max lr so far)^power,   c = weight/Σ weights
 *     y ← (1 − c)·y + c·z + lr·(β₁(1 − c) − 1)·ĝ,   then   z ← z − lr·ĝ
 *     eval:  x = y + (1 − 1/β₁)(z − y)          train:  y = x + (1 − β₁)(z − x)
 */
function scheduleFreeRule(className: string, args: ArgumentReader, variant: Variant): Rule {
  const { beta1, beta2, eps, directionAt } = variant;
  if (beta1 === 0) {
    const problem = `${className} averages nothing with a momentum of 0.`;
    throw new OptimizerError('OPTIMIZER_ARGUMENT', problem, 'Use a first beta or momentum above 0.', {
      option: 'betas',
      value: 0,
    });
  }
  const weightDecay = args.nonNegative('weight_decay');
  const power = args.number('weight_lr_power');
  const r = args.number('r');
  return {
    className,
    slots: [{ name: 'z', fill: (z, { data }) => z.set(data) }, ...(beta2 === null ? [] : [{ name: 'exp_avg_sq' }])],
    update: ({ groups, step, numbers }) => {
      const { rateFactor, secondCorrection } = directionAt(step);
      groups.forEach(({ learningRate, items }, k) => {
        const rate = learningRate * rateFactor;
        const largest = Math.max(rate, numbers[`lr_max.${k}`] ?? 0);
        const weight = step ** r * largest ** power;
        const sum = (numbers[`weight_sum.${k}`] ?? 0) + weight;
        const c = sum === 0 ? 0 : weight / sum;
        Object.assign(numbers, { [`scheduled_lr.${k}`]: rate, [`lr_max.${k}`]: largest, [`weight_sum.${k}`]: sum });
        for (const {
          data: y,
          gradient: g,
          slots: [z, v],
        } of items) {
          for (let i = 0; i < y.length; i++) {
            if (v) v[i] = beta2! * v[i]! + (1 - beta2!) * g[i]! * g[i]!;
            const normalized =
              v && secondCorrection !== null ? g[i]! / (Math.sqrt(v[i]!) / secondCorrection + eps) : g[i]!;
            const direction = normalized + weightDecay * y[i]!;
            y[i] = (1 - c) * y[i]! + c * z![i]! + rate * (beta1 * (1 - c) - 1) * direction;
            z![i] = z![i]! - rate * direction;
          }
        }
      });
    },
    switchMode: (items, mode) => {
      const share = mode === 'eval' ? 1 - 1 / beta1 : 1 - beta1;
      for (const {
        data,
        slots: [z],
      } of items) {
        for (let i = 0; i < data.length; i++) data[i] = data[i]! + share * (z![i]! - data[i]!);
      }
    },
  };
}

function warmUp(step: number, warmupSteps: number): number {
  return warmupSteps === 0 ? 1 : Math.min(1, step / warmupSteps);
}
