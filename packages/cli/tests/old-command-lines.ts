import { readFileSync } from 'node:fs';

const text = readFileSync(new URL('fixtures/old-command-lines.txt', import.meta.url), 'utf8').replaceAll('\r\n', '\n');

/** Command lines as users of the original write them. */
export const oldCommandLines: readonly string[] = text
  .split(/\n\n+/)
  .filter((line) => line.trim() !== '' && !line.startsWith('#'));
