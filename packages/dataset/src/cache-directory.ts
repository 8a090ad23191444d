import type { DatasetConfig } from './dataset-types.ts';
import { DatasetError } from './errors.ts';

/**
 * A dataset's cache folder as the configuration gives it.
 *
 * @throws {DatasetError} `CACHE_DIRECTORY_MISSING`
 */
export function cacheDirectoryOf({ cacheDirectory }: DatasetConfig, index: number): string {
  if (cacheDirectory !== null) return cacheDirectory;
  const what = `datasets[${index}] comes from a JSONL file and has no cache_directory.`;
  throw new DatasetError('CACHE_DIRECTORY_MISSING', what, 'Give it one, the folder for its caches.', {
    option: 'cache_directory',
  });
}
