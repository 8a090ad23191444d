/** Codes of `OptimizerError`. */
export type OptimizerErrorCode =
  | 'UNKNOWN_OPTIMIZER'
  | 'UNSUPPORTED_OPTIMIZER'
  | 'UNKNOWN_ARGUMENT'
  | 'OPTIMIZER_ARGUMENT'
  | 'BAD_PARAMETERS'
  | 'BAD_GRADIENT'
  | 'BAD_LEARNING_RATE'
  | 'EVAL_MODE'
  | 'WRONG_STATE';

/** An optimizer that cannot be made or stepped. Recognise it by `code`. */
export class OptimizerError extends Error {
  override readonly name = 'OptimizerError';
  readonly code: OptimizerErrorCode;
  /** What to do now. */
  readonly remedy: string;
  /** The option as the user writes it, the key of an argument, or the name of the parameter. */
  readonly option: string;
  readonly value: unknown;
  /** The known name closest to `value`, if one is close. */
  readonly nearest: string | null;

  constructor(
    code: OptimizerErrorCode,
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
  code: 'UNKNOWN_OPTIMIZER' | 'UNKNOWN_ARGUMENT',
  option: string,
  value: string,
  problem: string,
  known: readonly string[],
): OptimizerError {
  const nearest = nearestName(value, known);
  const hint = nearest === null ? '' : `Did you mean "${nearest}"? `;
  return new OptimizerError(code, problem, `${hint}Known: ${known.join(', ')}.`, { option, value, nearest });
}

/** The name with the fewest edits to `value`, with or without the module before its dot, or null when none is near. */
function nearestName(value: string, known: readonly string[]): string | null {
  const edits = (name: string) => editDistance(value.toLowerCase(), name.toLowerCase());
  const scored = known.map((name) => ({
    name,
    edits: Math.min(edits(name), edits(name.slice(name.indexOf('.') + 1))),
  }));
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
