import { existsSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, rmdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

import { TrainerError } from '../errors.ts';

/**
 * Makes a folder, and makes sure that files can be written to it before hours are spent on them.
 *
 * @param what how messages call it
 * @param option that names it
 * @returns the folders that were not there before, the outermost first
 * @throws {TrainerError} `OUTPUT_UNWRITABLE`
 */
export async function makeWritableFolder(folder: string, what: string, option: string): Promise<readonly string[]> {
  try {
    const made = await makeFolder(folder);
    // Rights alone do not tell: disks can be read-only, and Windows keeps them elsewhere.
    await rmdir(await mkdtemp(join(folder, '.musubi-')));
    return made;
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
    throw new TrainerError(
      'OUTPUT_UNWRITABLE',
      `${what} cannot be written to: ${reasons[code] ?? code}.`,
      `Choose a folder for ${option} that can be made and written to.`,
      { option, file: folder },
      { cause },
    );
  }
}

/** `mkdir -p`. Node's own (20.20) never returns where the parent exists but can hold no folder, as in /proc. */
async function makeFolder(folder: string): Promise<string[]> {
  const path = resolve(folder);
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return [];
  const made = existsSync(dirname(path)) ? [] : await makeFolder(dirname(path));
  await mkdir(path);
  return [...made, path];
}

/** Removes what {@link makeWritableFolder} has made, where a run is only looked at. */
export async function removeFolders(made: readonly string[]): Promise<void> {
  for (const folder of made.toReversed()) await rmdir(folder);
}

const reasons: Readonly<Record<string, string>> = {
  EEXIST: 'a file has this name',
  ENOTDIR: 'a part of the path is a file',
  ENOENT: 'this place can hold no folders',
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'the disk is read-only',
  ENOSPC: 'the disk is full',
};
