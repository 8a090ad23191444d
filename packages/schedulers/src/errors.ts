/** Codes of `ScheduleError`. */
export type ScheduleErrorCode =
  | 'UNKNOWN_SCHEDULE'
  | 'UNSUPPORTED_SCHEDULE'
  | 'UNKNOWN_ARGUMENT'
  | 'SCHEDULE_OPTION'
  | 'SCHEDULE_STEP'
  | 'SCHEDULE_STATE'
  | 'BAD_STEP_COUNT';

/** A schedule that cannot be made. Recognise it by `code`. */
export class ScheduleError extends Error {
  override readonly name = 'ScheduleError';
  readonly code: ScheduleErrorCode;
  /** What to do now. */
  readonly remedy: string;
  /** The option as the user writes it, e.g. `lr_warmup_steps`, or the key of an argument. */
  readonly option: string;
  readonly value: unknown;
  /** The known name closest to `value`, if one is close. */
  readonly nearest: string | null;

  constructor(
    code: ScheduleErrorCode,
    problem: string,
    remedy: string,
    facts: { option: string; value: unknown; nearest?: string | null },
  ) {
    super(`${problem} ${remedy}`);
    this.code = code;
    this.remedy = remedy;
    this.option = facts.option;
    this.value = facts.value;
    this.nearest = facts.nearest ?? null;
  }
}

/** An option out of its bounds: `problem` in a full sentence, then what to use. */
export function optionError(
  option: string,
  value: unknown,
  problem: string,
  remedy: string,
  code: ScheduleErrorCode = 'SCHEDULE_OPTION',
): ScheduleError {
  return new ScheduleError(code, problem, remedy, { option, value });
}

/** The error for a name that is in no list: says the nearest and all known ones. */
export function unknownName(
  code: 'UNKNOWN_SCHEDULE' | 'UNKNOWN_ARGUMENT',
  option: string,
  value: string,
  problem: string,
  known: readonly string[],
): ScheduleError {
  const nearest = nearestName(value, known);
  const hint = nearest === null ? '' : `Did you mean "${nearest}"? `;
  const list = known.length === 0 ? 'It takes none.' : `Known: ${known.join(', ')}.`;
  return new ScheduleError(code, problem, hint + list, { option, value, nearest });
}

/** The name with the fewest edits to `value`, or null when none is near. */
function nearestName(value: string, known: readonly string[]): string | null {
  const scored = known.map((name) => ({ name, edits: editDistance(value.toLowerCase(), name.toLowerCase()) }));
  const best = scored.toSorted((a, b) => a.edits - b.edits)[0];
  return best && best.edits <= Math.max(2, value.length / 2) ? best.name : null;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
