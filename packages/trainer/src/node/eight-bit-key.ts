import type { EightBitBase } from '@musubi/config';
import type { TensorInfo } from '@musubi/safetensors';

import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';

/** Changes when the same settings make other bytes. */
const version = 1;

/** Places of a file that are looked at, and bytes of each. */
const samples = 64;
const sampleBytes = 4096;

export interface EightBitContent {
  readonly setting: EightBitBase;
  /** Which weights: the list of the model. */
  readonly targets: unknown;
  readonly weights: ReadonlyMap<string, TensorInfo>;
  /** Adapters that are merged first. */
  readonly merged: readonly { readonly multiplier: number; readonly tensors: ReadonlyMap<string, TensorInfo> }[];
}

/**
 * Names what a file of 8-bit weights was made of and how, in hexadecimal.
 *
 * All of a large checkpoint takes minutes to read, so its content is told by its size, its time, the names, types and
 * places of its tensors, and 64 samples of 4 KiB, spread from the first byte to the last. Training changes every weight,
 * and what changes a few bytes in between changes the time. Paths do not count, so a folder may move.
 */
export async function eightBitKey({ setting, targets, weights, merged }: EightBitContent): Promise<string> {
  const hash = createHash('sha256');
  const { cacheDir: _, ...how } = setting;
  hash.update(JSON.stringify({ version, how, targets }));
  const stores = [{ multiplier: 1, tensors: weights }, ...merged];
  for (const { multiplier, tensors } of stores) {
    const files = [...new Set(Array.from(tensors.values(), ({ source }) => source))];
    const outlines = Array.from(tensors, ([name, { dtype, shape, offset, source, strides }]) => {
      return [name, dtype, shape, offset, files.indexOf(source), strides ?? null];
    });
    hash.update(JSON.stringify([multiplier, outlines]));
    for (const file of files) await addFile(hash, file);
  }
  return hash.digest('hex');
}

async function addFile(hash: ReturnType<typeof createHash>, path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    const { size, mtimeMs } = await file.stat();
    hash.update(JSON.stringify([size, mtimeMs]));
    const last = Math.max(0, size - sampleBytes);
    for (let i = 0; i < samples; i++) {
      const { buffer, bytesRead } = await file.read({
        buffer: Buffer.alloc(sampleBytes),
        position: Math.floor((last * i) / (samples - 1)),
      });
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}
