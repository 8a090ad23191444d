import { readdir, readFile, stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';

import { DatasetError } from '../errors.ts';
import type { FolderEntry, SourceFiles } from '../sources.ts';

// a configuration or list of files of this size is none
const mostTextBytes = 512 * 1024 * 1024;

/** Files on the disk; relative paths start at `workingDirectory`, by default the process's own. */
export function diskFiles(workingDirectory?: string): SourceFiles {
  return {
    list: (folder) => listFolder(locate(folder, workingDirectory)),
    readText: (file) => readText(locate(file, workingDirectory)),
  };
}

/** A path as it is opened: relative ones start at the working directory. */
export function locate(path: string, workingDirectory = ''): string {
  return isAbsolute(path) ? path : join(workingDirectory, path);
}

async function listFolder(folder: string): Promise<FolderEntry[] | null> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return await Promise.all(
      entries.map(async (entry) => {
        const isFolder = entry.isSymbolicLink() ? await isFolderBehind(join(folder, entry.name)) : entry.isDirectory();
        return { name: entry.name, isFolder };
      }),
    );
  } catch (cause) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(cause))) return null;
    throw unreadable(folder, cause);
  }
}

async function isFolderBehind(link: string): Promise<boolean> {
  return stat(link).then(
    (target) => target.isDirectory(),
    () => false, // the link leads nowhere
  );
}

/**
 * @param keepsMark keep a byte order mark as the first character
 * @throws {DatasetError} `FILE_NOT_FOUND`, `FILE_UNREADABLE`
 */
export async function readText(file: string, keepsMark = false): Promise<string> {
  let bytes: Uint8Array;
  try {
    const { size } = await stat(file);
    if (size > mostTextBytes) throw new Error(`it has ${size} bytes, which no text of this kind has`);
    bytes = await readFile(file);
  } catch (cause) {
    if (!['ENOENT', 'ENOTDIR'].includes(errorCode(cause))) throw unreadable(file, cause);
    const remedy = 'Correct the path; relative ones start at the folder the program is run in.';
    throw new DatasetError('FILE_NOT_FOUND', `${file} does not exist.`, remedy, { file, cause });
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: keepsMark }).decode(bytes);
  } catch (cause) {
    throw new DatasetError('FILE_UNREADABLE', `${file} is not UTF-8.`, 'Save it as UTF-8.', { file, cause });
  }
}

function unreadable(file: string, cause: unknown): DatasetError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new DatasetError(
    'FILE_UNREADABLE',
    `${file} cannot be read: ${reason}.`,
    'Check what it is and who may read it.',
    {
      file,
      cause,
    },
  );
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
