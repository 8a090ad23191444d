import { createInterface } from 'node:readline/promises';

/** Asks somebody; null when the answers end (Ctrl-C, Ctrl-D). */
export interface Asker {
  ask(question: string): Promise<string | null>;
  close(): void;
}

/** Asks in the terminal; null where there is none, or not on both sides. */
export function terminalAsker(): Asker | null {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return null;
  // on standard error, like everything that is no result
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const ended = new Promise<null>((resolve) => lines.once('close', () => resolve(null)));
  return {
    ask: (question) => Promise.race([lines.question(question), ended]),
    close: () => lines.close(),
  };
}
