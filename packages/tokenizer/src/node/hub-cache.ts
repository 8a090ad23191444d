import { mkdir, readFile, readdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '@musubi/safetensors/node';
import { TokenizerError } from '../errors.ts';

/** A file of a repository as the hub sent it. */
export interface HubFile {
  readonly name: string;
  /** The hub's name of the content; files with the same content share it. */
  readonly etag: string;
  readonly bytes: Uint8Array;
}

/**
 * Folder of a repository in the cache that all of Hugging Face's programs share: `google/umt5-xxl` as
 * `models--google--umt5-xxl`.
 */
export function repositoryFolder(cache: string, repository: string): string {
  return join(cache, `models--${repository.replaceAll('/', '--')}`);
}

/**
 * Folder of the files of a cached repository: the revision that `refs/main` names, else the last by name; null when
 * there is none.
 */
export async function findSnapshot(cache: string, repository: string): Promise<string | null> {
  const folder = repositoryFolder(cache, repository);
  const snapshots = join(folder, 'snapshots');
  const main = (await readFile(join(folder, 'refs', 'main'), 'utf8').catch(() => '')).trim();
  if (isName(main)) return join(snapshots, main);
  const revisions = await readdir(snapshots).catch(() => []);
  const last = revisions.toSorted().at(-1);
  return last === undefined ? null : join(snapshots, last);
}

/**
 * Puts files into the cache in its layout, each whole or not at all: contents in `blobs`, links to them in
 * `snapshots/COMMIT` (copies where the system allows no links), and at the end the commit in `refs/main`.
 *
 * @returns the folder of the snapshot
 * @throws {TokenizerError} `CACHE_NOT_WRITABLE`
 */
export async function storeSnapshot(
  cache: string,
  repository: string,
  commit: string,
  files: readonly HubFile[],
): Promise<string> {
  const folder = repositoryFolder(cache, repository);
  const snapshot = join(folder, 'snapshots', commit);
  try {
    for (const part of [join(folder, 'blobs'), join(folder, 'refs'), snapshot]) await mkdir(part, { recursive: true });
    for (const { name, etag, bytes } of files) {
      await writeFileAtomic(join(folder, 'blobs', etag), bytes);
      await link(folder, etag, join(snapshot, name));
    }
    await writeFileAtomic(join(folder, 'refs', 'main'), commit);
  } catch (cause) {
    throw new TokenizerError(
      'CACHE_NOT_WRITABLE',
      `The tokenizer was downloaded, but ${folder} cannot be written: ${(cause as Error).message}`,
      'Let HF_HOME name a folder that can be written, or give the folder of a tokenizer with --tokenizer.',
      { file: folder, cause },
    );
  }
  return snapshot;
}

async function link(folder: string, etag: string, path: string): Promise<void> {
  await rm(path, { force: true }); // a link of an earlier download whose blob is gone
  try {
    await symlink(join('..', '..', 'blobs', etag), path);
  } catch {
    // This system, as Windows by default, lets users make no links.
    await writeFileAtomic(path, await readFile(join(folder, 'blobs', etag)));
  }
}

/** Commits and etags become names of files, so they must be plain ones. */
export function isName(text: string): boolean {
  return /^\w[\w.-]{0,127}$/.test(text);
}
