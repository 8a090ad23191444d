import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { SafetensorsError } from '../error.ts';
import type { ByteSource } from '../source.ts';

/** One read call takes a 32-bit length on every platform. */
const MAX_READ = 1 << 30;

/**
 * A file read by ranges; its `name` is the absolute path. Offsets are JavaScript numbers, so files up to 2^53 bytes.
 *
 * @throws {SafetensorsError} `FILE_NOT_FOUND`, `IS_A_FOLDER`, `READ_FAILED`
 */
export async function fileSource(path: string): Promise<ByteSource> {
  const name = resolve(path);
  const handle = await open(name, 'r').catch((cause: unknown) => {
    throw readError(name, cause);
  });
  try {
    const stat = await handle.stat();
    if (stat.isDirectory()) throw folderError(name);
    return {
      name,
      size: stat.size,
      read: async (offset, length) => {
        const bytes = new Uint8Array(length);
        let done = 0;
        while (done < length) {
          const { bytesRead } = await handle
            .read(bytes, done, Math.min(length - done, MAX_READ), offset + done)
            .catch((cause: unknown) => {
              throw readError(name, cause);
            });
          if (bytesRead === 0) return bytes.subarray(0, done);
          done += bytesRead;
        }
        return bytes;
      },
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

export function readError(file: string, cause: unknown): SafetensorsError {
  const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new SafetensorsError('FILE_NOT_FOUND', 'the file does not exist.', 'Check the path.', { file, cause });
  }
  if (code === 'EISDIR') return folderError(file);
  const remedy = code === 'EACCES' || code === 'EPERM' ? 'Check who may read it.' : 'Check the disk and try again.';
  return new SafetensorsError('READ_FAILED', `reading failed (${code}).`, remedy, { file, cause });
}

function folderError(file: string): SafetensorsError {
  const remedy = 'Give the .safetensors file in it, its first shard or its .safetensors.index.json.';
  return new SafetensorsError('IS_A_FOLDER', 'this is a folder.', remedy, { file });
}
