import { createReadStream } from 'node:fs';

/** Longer than the name of a version. */
const overlap = 64;

/**
 * The version that the library of ONNX Runtime for Linux gives its symbols (`VERS_1.30.0`): that of the package says nothing
 * about a library that took the place of its own.
 *
 * @returns null where there is no such file or no version in it
 */
export async function libraryVersion(file: string): Promise<string | null> {
  let before = '';
  try {
    for await (const bytes of createReadStream(file, { encoding: 'latin1', highWaterMark: 2 ** 20 })) {
      const text = before + String(bytes);
      // eslint-disable-next-line no-control-regex
      const version = /VERS_(\d+\.\d+\.\d+)\0/.exec(text)?.[1];
      if (version !== undefined) return version;
      before = text.slice(-overlap);
    }
  } catch {
    // as where there is none
  }
  return null;
}
