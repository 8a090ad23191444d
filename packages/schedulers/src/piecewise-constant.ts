import { optionError } from './errors.ts';
import type { Schedule } from './factors.ts';
import { assertStep } from './internal/numbers.ts';

/**
 * Steps of constant factors, written `1:10,0.1:20,0.005`: 1 before step 10, 0.1 before step 20, then 0.005.
 *
 * @throws {ScheduleError} `SCHEDULE_OPTION` when the rules cannot be read
 *
 * @example
 * ```ts
 * import { piecewiseConstant } from '@musubi/schedulers';
 *
 * const factor = piecewiseConstant('1:10,0.1:20,0.005');
 * console.log([9, 10, 20].map(factor)); // [ 1, 0.1, 0.005 ]
 * ```
 */
export function piecewiseConstant(stepRules: string): Schedule {
  const parts = stepRules.split(',').map((part) => part.split(':').map((text) => text.trim()));
  const last = parts.pop() ?? [];
  const rules = parts.map(([factor = '', until = '']) => ({ factor: toNumber(factor), until: toNumber(until) }));
  const lastFactor = last.length === 1 ? toNumber(last[0]!) : Number.NaN;
  const isReadable = parts.every((part) => part.length === 2) && rules.every((rule) => Number.isInteger(rule.until));
  if (!isReadable || ![...rules.map(({ factor }) => factor), lastFactor].every(Number.isFinite)) {
    const problem = `step_rules = "${stepRules}" is not a list of factors and steps.`;
    const remedy = 'Write factor:step pairs and the last factor, e.g. "1:10,0.1:20,0.005".';
    throw optionError('step_rules', stepRules, problem, remedy);
  }
  const sorted = rules.toSorted((a, b) => a.until - b.until);
  return (s) => {
    assertStep(s);
    return sorted.find(({ until }) => s < until)?.factor ?? lastFactor;
  };
}

function toNumber(text: string): number {
  return text === '' ? Number.NaN : Number(text);
}
