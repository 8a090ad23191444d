import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';

/** What tells whether a file is still the same, without reading it. */
export async function fileFacts(path: string): Promise<{ path: string; bytes: number; changedMs: number }> {
  const { size, mtimeMs } = await stat(path);
  return { path: resolve(path), bytes: size, changedMs: mtimeMs };
}
