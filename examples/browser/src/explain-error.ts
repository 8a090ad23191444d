import { type Finding, findingsOf } from '@musubi/trainer/web';

/** What an error says to a user: all problems of a typed one, the message of any other. */
export function explainError(error: unknown): Finding[] {
  try {
    return findingsOf(error);
  } catch {
    const message = error instanceof Error ? error.message : String(error);
    const where = { option: null, file: null, line: null };
    return [{ severity: 'error', code: 'UNEXPECTED', where, message, remedy: 'Reload the page and try again.' }];
  }
}
