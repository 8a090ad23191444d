import { existsSync, statSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/** `mkdir -p`. Node's own (20.20) never returns where the parent exists but can hold no folder, as in /proc. */
export async function makeFolder(folder: string): Promise<void> {
  const path = resolve(folder);
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  if (!existsSync(dirname(path))) await makeFolder(dirname(path));
  await mkdir(path);
}
