import type { ConfigProblem } from '@musubi/config';
import type { ConfigIssue } from '@musubi/dataset';

/** Something that was found before a run: a mistake, or what a user should know. */
export interface Finding {
  readonly severity: 'error' | 'warning';
  /** Stable, e.g. `FILE_NOT_FOUND`; that of the error which ends a run. */
  readonly code: string;
  readonly where: FindingPlace;
  /** What was found and what was expected, without the remedy. */
  readonly message: string;
  /** What to do now; null where the message says it. */
  readonly remedy: string | null;
}

/** What a finding is about; null where it is about none. */
export interface FindingPlace {
  /** By its name in snake_case. */
  readonly option: string | null;
  readonly file: string | null;
  /** In `file`, from 1. */
  readonly line: number | null;
}

export const nowhere: FindingPlace = { option: null, file: null, line: null };

/**
 * What an error says, as findings: all problems of a configuration each, one of every other error.
 *
 * @param place used where the error names none
 * @throws the error itself, when it is none that is meant for users
 */
export function findingsOf(
  error: unknown,
  place: Partial<FindingPlace> = {},
  severity: Finding['severity'] = 'error',
): Finding[] {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') throw error;
  const { code, message } = error;
  const { problems, issues } = error as Partial<Listed>;
  if (problems) return problems.map((problem) => ofProblem(problem, severity));
  const file = textOf(error, 'file') ?? place.file ?? null;
  if (issues) {
    return issues.map((issue) => ({
      severity,
      code,
      where: { option: lastName(issue), file, line: issue.line ?? null },
      message: issue.message,
      remedy: null,
    }));
  }
  const remedy = textOf(error, 'remedy');
  if (remedy === null && !('syscall' in error)) throw error;
  const where = { option: textOf(error, 'option') ?? place.option ?? null, file, line: place.line ?? null };
  return [{ severity, code: causeCode(error) ?? code, where, ...split(message, remedy) }];
}

interface Listed {
  readonly problems: readonly ConfigProblem[];
  readonly issues: readonly ConfigIssue[];
}

function ofProblem(problem: ConfigProblem, severity: Finding['severity']): Finding {
  const { code, text, remedy, option = null, file = null, line = null } = problem;
  return { severity, code, where: { option, file, line }, message: text.trimEnd(), remedy };
}

/** Of a file that an option names the reason is told, not that it is unusable. */
function causeCode({ code, cause }: Error & { code?: unknown }): string | null {
  if (code !== 'FILE_UNUSABLE' || !(cause instanceof Error) || !('code' in cause)) return null;
  return typeof cause.code === 'string' ? cause.code : null;
}

function split(message: string, remedy: string | null): Pick<Finding, 'message' | 'remedy'> {
  if (remedy === null) return { message, remedy: 'Check the path, and who may read it.' };
  return { message: message.endsWith(remedy) ? message.slice(0, -remedy.length).trimEnd() : message, remedy };
}

/** A fact of an error, which some have as a field and some under `facts`. */
function textOf(error: Error & { facts?: unknown }, name: string): string | null {
  for (const holder of [error, error.facts]) {
    if (typeof holder !== 'object' || holder === null) continue;
    const value = (holder as Readonly<Record<string, unknown>>)[name];
    if (typeof value === 'string') return value;
  }
  return null;
}

function lastName({ path }: ConfigIssue): string | null {
  return path.findLast((part) => typeof part === 'string') ?? null;
}
