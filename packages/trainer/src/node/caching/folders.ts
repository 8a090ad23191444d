import { mkdir, mkdtemp, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { TrainerError } from '../../errors.ts';
import { fileTroubles } from '../file-troubles.ts';

/**
 * Makes sure that caches can be written before hours are spent on them.
 *
 * @throws {TrainerError} `OUTPUT_UNWRITABLE`
 */
export async function makeCacheFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    // Rights alone do not tell: disks can be read-only, and Windows keeps them elsewhere.
    await rmdir(await mkdtemp(join(folder, '.musubi-')));
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
    throw new TrainerError(
      'OUTPUT_UNWRITABLE',
      `The cache folder ${folder} cannot be written to: ${fileTroubles[code] ?? code}.`,
      'Give a cache_directory that can be made and written to in the dataset configuration.',
      { option: 'cache_directory', file: folder },
      { cause },
    );
  }
}

export const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    (status) => status.isFile(),
    () => false,
  );

/** Deletes files, saying so of each; one that is gone already is no trouble. */
export async function removeCaches(paths: readonly string[], logger: (line: string) => void): Promise<number> {
  for (const path of paths) {
    await rm(path, { force: true });
    logger(`removing ${path}, which belongs to no item of the dataset any more`);
  }
  return paths.length;
}
