import { optionError } from '../errors.ts';
import type { Span } from '../factors.ts';

/** @throws {ScheduleError} `SCHEDULE_OPTION` unless the number is one that the option can be */
export function assertNumber(option: string, value: number, isValid: (x: number) => boolean, wanted: string): void {
  if (typeof value === 'number' && Number.isFinite(value) && isValid(value)) return;
  throw optionError(option, value, `${option} = ${String(value)} is not ${wanted}.`, `Use ${wanted}.`);
}

/** @throws {ScheduleError} `SCHEDULE_OPTION` for a warm-up or a run of no length */
export function assertSpan({ warmupSteps, totalSteps = 1 }: Pick<Span, 'warmupSteps'> & Partial<Span>): void {
  assertNumber('warmupSteps', warmupSteps, (x) => x >= 0, 'a number of steps');
  assertNumber('totalSteps', totalSteps, (x) => x >= 0, 'a number of steps');
}

/** @throws {ScheduleError} `SCHEDULE_STEP` */
export function assertStep(step: number): void {
  if (step >= 0 && step < Infinity) return;
  throw optionError('step', step, `There is no step ${step}.`, 'Count steps from 0.', 'SCHEDULE_STEP');
}
