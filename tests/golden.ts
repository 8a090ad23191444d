import { existsSync, readFileSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = fileURLToPath(new URL('..', import.meta.url));
const chosen = process.env['MUSUBI_GOLDEN'];

/** The folder of golden vectors: `MUSUBI_GOLDEN` (relative to the repository), else `golden/`. */
export const goldenFolder = !chosen
  ? join(repository, 'golden')
  : isAbsolute(chosen)
    ? chosen
    : resolve(repository, chosen);

/** True for the folder that the repository ships, in which every kind of case must be present. */
export const isDefaultGolden = goldenFolder === join(repository, 'golden');

export function goldenPath(...parts: string[]): string {
  return join(goldenFolder, ...parts);
}

export function hasGolden(...parts: string[]): boolean {
  return existsSync(goldenPath(...parts));
}

export function readGoldenJson<T>(...parts: string[]): T {
  return JSON.parse(readFileSync(goldenPath(...parts), 'utf8')) as T;
}
