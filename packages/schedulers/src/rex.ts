import { optionError } from './errors.ts';
import type { Schedule, Span } from './factors.ts';
import { assertNumber, assertSpan, assertStep } from './internal/numbers.ts';

/** Rate of a parameter group at an optimizer step, counted from 0, from the group's own rate. */
export type RateSchedule = (step: number, baseRate: number) => number;

export interface RexOptions extends Span {
  /** constant in the denominator, default 0.1 */
  readonly alpha?: number;
  /** slope of the denominator, default 0.9 */
  readonly beta?: number;
  /** share m of the rate at which the schedule starts and ends, 0 … 1, default 0.01 */
  readonly minLrRatio?: number;
}

/**
 * Reflected exponential schedule (Chen et al. 2021, arXiv 2107.04197): `m + (1 − m)·z / (α + β·z)`, where z falls from 1 to 0
 * behind the warm-up. The warm-up is a straight line from m at step 0 to 1 at step W, and the curve is scaled to start at 1.
 *
 * @throws {ScheduleError} `SCHEDULE_OPTION` for numbers that give no curve
 *
 * @example
 * ```ts
 * import { rexCurve } from '@musubi/schedulers';
 *
 * const factor = rexCurve({ warmupSteps: 0, totalSteps: 10, minLrRatio: 0 });
 * console.log([0, 5, 10].map((step) => factor(step).toFixed(3))); // [ '1.000', '0.909', '0.000' ]
 * ```
 */
export function rexCurve({
  warmupSteps,
  totalSteps,
  alpha = 0.1,
  beta = 0.9,
  minLrRatio = 0.01,
}: RexOptions): Schedule {
  assertCurve({ warmupSteps, totalSteps, alpha, beta, minLrRatio });
  const remaining = totalSteps - warmupSteps;
  return (s) => {
    assertStep(s);
    if (s < warmupSteps) return minLrRatio + ((1 - minLrRatio) * s) / warmupSteps;
    const z = Math.max(0, remaining - (s - warmupSteps)) / Math.max(1, remaining);
    return minLrRatio + ((1 - minLrRatio) * (alpha + beta) * z) / (alpha + beta * z);
  };
}

/**
 * The reflected exponential schedule as musubi-tuner computes it, with its peculiarities: with a warm-up of several steps,
 * step 0 has a high rate before the warm-up starts from the minimum at step 1; in the warm-up and at the end every group
 * gets the rate of the first option, whatever its own; the peak is not 1 unless α + β = 1. `rexCurve` has none of these.
 *
 * @param options.learningRate L, the rate without groups
 * @throws {ScheduleError} `SCHEDULE_OPTION` for a warm-up longer than the run, a minimum above the rate, numbers that give no
 *   curve; the schedule `SCHEDULE_STEP` for a step that is none
 */
export function rex(options: RexOptions & { readonly learningRate: number }): RateSchedule {
  const { warmupSteps, totalSteps, alpha = 0.1, beta = 0.9, minLrRatio = 0.01, learningRate } = options;
  if (warmupSteps > totalSteps) {
    const problem = `The warm-up of ${warmupSteps} steps is longer than the run of ${totalSteps}.`;
    throw optionError('lr_warmup_steps', warmupSteps, problem, 'Shorten the warm-up or lengthen the run.');
  }
  if (minLrRatio > 1) {
    const problem = `lr_scheduler_min_lr_ratio = ${minLrRatio} puts the lowest rate above the highest.`;
    throw optionError('lr_scheduler_min_lr_ratio', minLrRatio, problem, 'Use a number from 0 to 1.');
  }
  assertCurve({ warmupSteps, totalSteps, alpha, beta, minLrRatio });
  assertNumber('learningRate', learningRate, (x) => x >= 0, 'a number of at least 0');
  const minimum = minLrRatio * learningRate;
  const remaining = totalSteps - warmupSteps;
  return (s, baseRate) => {
    assertStep(s);
    if (warmupSteps === 1 && s === 1) return minimum;
    if (warmupSteps > 1 && s >= 1 && s <= warmupSteps - 1) {
      return minimum + ((learningRate - minimum) * (s - 1)) / (warmupSteps - 1);
    }
    const q = s - warmupSteps;
    if (q >= remaining || q === -1 || remaining <= 0) return minimum;
    const wrapped = ((q % remaining) + remaining) % remaining;
    const z = (remaining - wrapped) / remaining;
    return baseRate * (minLrRatio + (1 - minLrRatio) * (z / (alpha + beta * z)));
  };
}

/** `α + β·z` must not be 0 for any z from 0 to 1 that the curve divides by: z = 0 only without a numerator. */
function assertCurve({ alpha = 0, beta = 0, minLrRatio = 0, ...span }: RexOptions): void {
  assertSpan(span);
  assertNumber('rex_alpha', alpha, (x) => x > 0, 'a positive number, usually 0.1');
  assertNumber('rex_beta', beta, (x) => alpha + x > 0, 'a number above -rex_alpha, usually 0.9');
  assertNumber('minLrRatio', minLrRatio, (x) => x >= 0 && x <= 1, 'a number from 0 to 1');
}
