import { inspect } from 'node:util';

import { exitCodeOf, type ExitCode } from './exit-code.ts';

/**
 * What to print of an error, and the exit code.
 *
 * Errors of our packages have a `code` and a `remedy`: their message is all a user needs. Errors of the operating system are
 * shown with their path. Everything else is a fault in the program.
 */
export function reportError(
  error: unknown,
  environment: Readonly<Record<string, string | undefined>>,
): { text: string; exitCode: ExitCode } {
  const debug = environment['MUSUBI_DEBUG'] === '1' ? `\n${inspect(error)}\n` : '';
  if (isOurs(error)) {
    const lines = problemLines(error);
    const text =
      lines.length === 1
        ? `error: ${lines[0]}`
        : [`error: ${lines.length} problems`, ...lines.map((line) => `  ${line}`)].join('\n');
    return { text: `${printable(text)}\n${debug}`, exitCode: exitCodeOf(error) };
  }
  if (isSystemError(error)) {
    return {
      text: `error: ${error.message}. ${systemRemedies[error.code] ?? 'Mend this and run again.'}\n${debug}`,
      exitCode: 1,
    };
  }
  const shown = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return {
    text: `internal: ${shown.replace(/^Error: (internal: )?/, '')}\nThis is a fault in musubi, not in your configuration. Please report it at ${issues} with the command and the configuration; MUSUBI_DEBUG=1 shows where it happened.\n${debug}`,
    exitCode: 1,
  };
}

const issues = 'https://github.com/musubi-ts/musubi-ts/issues';

interface OurError extends Error {
  readonly code: string;
  readonly remedy: string;
}

function isOurs(error: unknown): error is OurError {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    'remedy' in error &&
    typeof error.remedy === 'string'
  );
}

function problemLines(error: OurError): string[] {
  const problems: unknown = 'problems' in error ? error.problems : undefined;
  if (!Array.isArray(problems) || problems.length < 2) return [error.message.trimEnd()];
  return error.message.split('\n');
}

/** Messages may quote files: control characters of these would reach the terminal. */
function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, '\ufffd');
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException & { code: string } {
  return error instanceof Error && 'syscall' in error && 'code' in error && typeof error.code === 'string';
}

const systemRemedies: Readonly<Record<string, string>> = {
  ENOENT: 'Check the path; relative paths start at the current folder.',
  EACCES: 'Give this user access to it.',
  EPERM: 'Give this user access to it, and close programs that use it.',
  ENOSPC: 'Make room on the disk.',
  EMFILE: 'Allow more open files (ulimit -n).',
};
