import { optionError } from './errors.ts';
import { assertNumber } from './internal/numbers.ts';
import type { RateSchedule } from './rex.ts';

/** Where a schedule stands, as plain data. */
export interface RateState {
  /** Optimizer steps so far. */
  readonly step: number;
  /** Own rate of each parameter group. */
  readonly baseRates: readonly number[];
}

/** A schedule that walks through a run, for loops that do not count steps themselves. */
export interface RateCursor {
  /** Rates of the next optimizer step, one a group. */
  rates(): number[];
  /** Call after each optimizer step. */
  advance(): void;
  state(): RateState;
  /**
   * Goes on from a state, with its base rates.
   *
   * @throws {ScheduleError} `SCHEDULE_STATE` when it is none for as many groups
   */
  restore(state: RateState): void;
}

/**
 * A cursor over a schedule, at the first step.
 *
 * @param baseRates own rate of each parameter group
 * @throws {ScheduleError} `SCHEDULE_OPTION` for a rate that is none
 *
 * @example
 * ```ts
 * import { createRateCursor } from '@musubi/schedulers';
 *
 * const cursor = createRateCursor((step, rate) => rate / (step + 1), [1e-3, 2e-3]);
 * cursor.advance();
 * console.log(cursor.rates(), cursor.state().step); // [ 0.0005, 0.001 ] 1
 * ```
 */
export function createRateCursor(schedule: RateSchedule, baseRates: readonly number[]): RateCursor {
  for (const rate of baseRates) assertNumber('baseRates', rate, (x) => x >= 0, 'a rate of at least 0');
  let state: RateState = { step: 0, baseRates: [...baseRates] };
  return {
    rates: () => state.baseRates.map((rate) => schedule(state.step, rate)),
    advance() {
      state = { ...state, step: state.step + 1 };
    },
    state: () => ({ step: state.step, baseRates: [...state.baseRates] }),
    restore(saved) {
      const isWhole = Number.isSafeInteger(saved.step) && saved.step >= 0 && Array.isArray(saved.baseRates);
      if (
        isWhole &&
        saved.baseRates.length === baseRates.length &&
        saved.baseRates.every((rate) => rate >= 0 && rate < Infinity)
      ) {
        state = { step: saved.step, baseRates: [...saved.baseRates] };
        return;
      }
      const problem = `The saved schedule does not fit ${baseRates.length} parameter groups.`;
      throw optionError(
        'state',
        saved,
        problem,
        'Resume with the adapter settings of the saved run.',
        'SCHEDULE_STATE',
      );
    },
  };
}
