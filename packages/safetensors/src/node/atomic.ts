import { randomUUID } from 'node:crypto';
import { open, rename, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SafetensorsError } from '../error.ts';

/** Waits before the renames after the first one; virus scanners and indexers hold a fresh file for about a second. */
const RENAME_WAITS_MS = [10, 30, 100, 300, 600, 1000];

/**
 * Writes a file so that its path holds either the old content or all of the new one, whatever happens in between:
 * a temporary file in the same folder, flushed to the disk, then renamed.
 *
 * @throws {SafetensorsError} `WRITE_FAILED`, `FILE_IN_USE`; the temporary file is removed
 */
export async function writeFileAtomic(path: string, data: Uint8Array | string): Promise<void> {
  const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data;
  await replaceFile(path, (write) => write(bytes));
}

/**
 * `writeFileAtomic` for content that comes in pieces: `produce` calls `write` for each, or writes into the temporary file
 * by its path.
 */
export async function replaceFile(
  path: string,
  produce: (write: (bytes: Uint8Array) => Promise<void>, temporary: string) => Promise<void>,
): Promise<void> {
  const target = resolve(path);
  const temporary = join(dirname(target), `.${basename(target)}.${randomUUID().slice(0, 8)}.tmp`);
  let handle: FileHandle | null = await open(temporary, 'wx').catch((cause: unknown) => {
    throw writeError(target, cause);
  });
  const file = handle;
  try {
    await produce((bytes) => writeAll(file, bytes, target), temporary);
    await file.sync().catch((cause: unknown) => {
      throw writeError(target, cause);
    });
    handle = null;
    await file.close();
    await renameOver(temporary, target);
  } catch (error) {
    await handle?.close().catch(() => {});
    await unlink(temporary).catch(() => {});
    throw error;
  }
  await syncFolder(dirname(target));
}

async function writeAll(file: FileHandle, bytes: Uint8Array, target: string): Promise<void> {
  const chunk = 1 << 28;
  for (let done = 0; done < bytes.byteLength;) {
    const { bytesWritten } = await file
      .write(bytes, done, Math.min(chunk, bytes.byteLength - done))
      .catch((cause: unknown) => {
        throw writeError(target, cause);
      });
    done += bytesWritten;
  }
}

/** On Windows a file that another program has open cannot be replaced: try again for two seconds, then say so. */
async function renameOver(temporary: string, target: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await rename(temporary, target);
      return;
    } catch (cause) {
      const wait = RENAME_WAITS_MS[attempt];
      if (process.platform !== 'win32' || !isInUse(cause)) throw writeError(target, cause);
      if (wait === undefined) {
        throw new SafetensorsError(
          'FILE_IN_USE',
          'the file could not be replaced because another program has it open.',
          'Close that program (a viewer, ComfyUI, a virus scanner) or choose another output name, then save again.',
          { file: target, cause },
        );
      }
      await sleep(wait);
    }
  }
}

function isInUse(error: unknown): boolean {
  return ['EPERM', 'EACCES', 'EBUSY'].includes((error as NodeJS.ErrnoException).code ?? '');
}

/** Makes the rename itself durable. Windows cannot open folders; some network disks cannot flush them. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => null);
  await handle?.sync().catch(() => {});
  await handle?.close();
}

function writeError(file: string, cause: unknown): SafetensorsError {
  const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
  const remedy =
    {
      ENOENT: 'Create its folder first.',
      ENOSPC: 'The disk is full: free some space.',
      EDQUOT: 'Your quota is used up: free some space.',
      EACCES: 'Check who may write there.',
      EPERM: 'Check who may write there.',
      EROFS: 'The disk is read-only: choose another folder.',
      EISDIR: 'A folder has this name: choose another one.',
    }[code] ?? 'Check the disk and try again.';
  return new SafetensorsError('WRITE_FAILED', `writing failed (${code}).`, remedy, { file, cause });
}
