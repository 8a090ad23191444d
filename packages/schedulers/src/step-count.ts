import { optionError, ScheduleError } from './errors.ts';

/** A number of optimizer steps, or a share of all steps of the run. */
export type StepCount = { readonly steps: number } | { readonly share: number };

/**
 * Reads a count as the command line writes it: `10` is steps, `0.1` a share, `10%` the share 0.1.
 *
 * A number of at least 1 without a fraction is steps, also as `1.0` or `2.5e1`; everything else is a share, so `2.5` is
 * 250 % of the run and `0` the share 0.
 *
 * @throws {ScheduleError} `BAD_STEP_COUNT` for text that is no number of at least 0
 *
 * @example
 * ```ts
 * import { parseStepCount, resolveStepCount } from '@musubi/schedulers';
 *
 * console.log(['10', '0.1', '25%'].map((text) => resolveStepCount(parseStepCount(text), 200))); // [ 10, 20, 50 ]
 * ```
 */
export function parseStepCount(text: string): StepCount {
  const trimmed = text.trim();
  const isPercent = trimmed.endsWith('%');
  const digits = isPercent ? trimmed.slice(0, -1) : trimmed;
  const value = digits.trim() === '' ? Number.NaN : Number(digits);
  if (!(value >= 0 && value < Infinity)) {
    throw new ScheduleError(
      'BAD_STEP_COUNT',
      `"${text}" is not a number of steps.`,
      'Write a number of steps (500), a share of the run (0.1) or a percentage (10%).',
      { option: 'lr_warmup_steps', value: text },
    );
  }
  if (isPercent) return { share: value / 100 };
  return value >= 1 && Number.isInteger(value) ? { steps: value } : { share: value };
}

/**
 * The count in steps of a run of `totalSteps`; shares are cut to a whole number.
 *
 * @throws {ScheduleError} `SCHEDULE_OPTION` for counts below 0 and what is no number
 */
export function resolveStepCount(count: StepCount, totalSteps: number): number {
  const steps = 'steps' in count ? count.steps : Math.trunc(count.share * totalSteps);
  if (steps >= 0 && steps < Infinity) return steps;
  const found = 'steps' in count ? `${count.steps} steps` : `A share of ${count.share} of ${totalSteps} steps`;
  const value = 'steps' in count ? count.steps : count.share;
  const remedy = 'Use steps or a share of the run of at least 0.';
  throw optionError('lr_warmup_steps', value, `${found} cannot be counted.`, remedy);
}
