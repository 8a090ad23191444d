import { blobSource, openSafetensors } from '@musubi/safetensors';

import { DatasetError } from './errors.ts';
import type { TrainingFiles } from './load-training-data.ts';

/**
 * Files that a page was given, e.g. a folder dropped on it, in place of a disk. Of a cache, only what is asked for is read.
 *
 * @param files by the path under which the configuration finds them, with `/` between its parts: `cache/cat_wan_te.safetensors`
 */
export function blobFiles(files: ReadonlyMap<string, Blob>): TrainingFiles {
  const byPath = new Map(Array.from(files, ([path, blob]) => [clean(path), blob]));
  const find = (path: string): Blob => {
    const blob = byPath.get(clean(path));
    if (blob) return blob;
    throw new DatasetError('FILE_NOT_FOUND', `${path} does not exist.`, 'Add it, or correct the path.', { file: path });
  };
  return {
    async list(folder) {
      const prefix = clean(folder) === '' ? '' : `${clean(folder)}/`;
      const inside = [...byPath.keys()]
        .filter((path) => path.startsWith(prefix))
        .map((path) => path.slice(prefix.length));
      const names = new Map(inside.map((path) => [path.split('/', 1)[0] ?? path, path.includes('/')]));
      return names.size === 0 ? null : Array.from(names, ([name, isFolder]) => ({ name, isFolder }));
    },
    async readText(path) {
      const bytes = await find(path).arrayBuffer();
      try {
        return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
      } catch (cause) {
        throw new DatasetError('FILE_UNREADABLE', `${path} is not UTF-8.`, 'Save it as UTF-8.', { file: path, cause });
      }
    },
    pathOf: (folder, name) => [clean(folder), name].filter((part) => part !== '').join('/'),
    openCache: async (path) => openSafetensors(blobSource(find(path), path)),
  };
}

/** Without `.` and empty parts. */
const clean = (path: string): string =>
  path
    .split(/[\\/]/)
    .filter((part) => part !== '' && part !== '.')
    .join('/');
