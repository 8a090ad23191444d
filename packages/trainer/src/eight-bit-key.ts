import type { EightBitBase } from '@musubi/config';
import type { TensorInfo } from '@musubi/safetensors';

/** Changes when the same settings make other bytes. */
const version = 1;

/** Places of a file that are looked at, and bytes of each. */
const samples = 64;
const sampleBytes = 4096;

/** Of a checkpoint or an adapter. */
export interface SampledFile {
  readonly size: number;
  /** When it was written last, in whole milliseconds since 1970; null where that is not known. */
  readonly modified: number | null;
  readonly read: (position: number, length: number) => Promise<Uint8Array>;
}

export interface EightBitContent {
  readonly setting: EightBitBase;
  /** What has 16 bits is written as float32. */
  readonly wide: boolean;
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
 *
 * @param use opens a file of a tensor's `source`, and closes it
 */
export async function eightBitKey(
  { setting, wide, targets, weights, merged }: EightBitContent,
  use: <T>(source: string, read: (file: SampledFile) => Promise<T>) => Promise<T>,
): Promise<string> {
  const { cacheDir: _, ...how } = setting;
  const parts: BlobPart[] = [JSON.stringify({ version, how: wide ? { ...how, wide } : how, targets })];
  const stores = [{ multiplier: 1, tensors: weights }, ...merged];
  for (const { multiplier, tensors } of stores) {
    const files = [...new Set(Array.from(tensors.values(), ({ source }) => source))];
    const outlines = Array.from(tensors, ([name, { dtype, shape, offset, source, strides }]) => {
      return [name, dtype, shape, offset, files.indexOf(source), strides ?? null];
    });
    parts.push(JSON.stringify([multiplier, outlines]));
    for (const file of files) parts.push(...(await use(file, sample)));
  }
  const digest = await crypto.subtle.digest('SHA-256', await new Blob(parts).arrayBuffer());
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

async function sample({ size, modified, read }: SampledFile): Promise<BlobPart[]> {
  const parts: BlobPart[] = [JSON.stringify([size, modified])];
  const last = Math.max(0, size - sampleBytes);
  for (let i = 0; i < samples; i++) {
    parts.push((await read(Math.floor((last * i) / (samples - 1)), sampleBytes)) as BlobPart);
  }
  return parts;
}
