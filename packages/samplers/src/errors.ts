/** Codes of `SamplerError`. */
export type SamplerErrorCode =
  | 'UNKNOWN_SAMPLER'
  | 'UNKNOWN_WEIGHTING'
  | 'SAMPLER_OPTION'
  | 'BAD_NUMBER'
  | 'BATCH_SHAPE'
  | 'POOL_SIZE'
  | 'POOL_NUMBER'
  | 'POOL_STATE'
  | 'RANGE_NEVER_HIT';

/** A setting or a batch that gives no timesteps. Recognise it by `code`. */
export class SamplerError extends Error {
  override readonly name = 'SamplerError';
  readonly code: SamplerErrorCode;
  /** What to do now. */
  readonly remedy: string;
  /** The option as the user writes it, e.g. `min_timestep`, or the argument. */
  readonly option: string;
  readonly value: unknown;
  /** The known name closest to `value`, if one is close. */
  readonly nearest: string | null;

  constructor(
    code: SamplerErrorCode,
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

/** The error for a name that is in no list: says the nearest and all known ones. */
export function unknownName(
  code: SamplerErrorCode,
  option: string,
  value: string,
  what: string,
  known: readonly string[],
): SamplerError {
  const nearest = nearestName(value, known);
  const hint = nearest === null ? '' : `Did you mean "${nearest}"? `;
  const remedy = `${hint}Known: ${known.join(', ')}.`;
  return new SamplerError(code, `${option} = "${value}" is not ${what}.`, remedy, { option, value, nearest });
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
