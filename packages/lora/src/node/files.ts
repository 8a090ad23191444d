import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { openCheckpointFile } from '@musubi/safetensors/node';
import type { TensorStore } from '@musubi/safetensors';
import { LoraError } from '../errors.ts';

/** Opens files for the time of a task. */
export async function withFiles<T>(
  paths: readonly string[],
  task: (stores: readonly TensorStore[]) => Promise<T>,
): Promise<T> {
  const stores: TensorStore[] = [];
  try {
    for (const path of paths) stores.push(await openCheckpointFile(path));
    return await task(stores);
  } finally {
    for (const store of stores.toReversed()) await store.close();
  }
}

/**
 * An output is written while its inputs are open, so it cannot replace one of them.
 *
 * @throws {LoraError} `OUTPUT_IS_INPUT`
 */
export function assertOther(option: string, output: string, inputs: readonly string[]): void {
  const same = inputs.find((input) => resolve(input) === resolve(output));
  if (same === undefined) return;
  const problem = `${option} = "${output}" is one of the files to read.`;
  throw new LoraError('OUTPUT_IS_INPUT', problem, 'Give it another name.', { option, found: output });
}

/**
 * Oldest first, by the time of modification; files of one time keep their order.
 *
 * @throws {LoraError} `FILE_MISSING`
 */
export async function byModificationTime(paths: readonly string[]): Promise<string[]> {
  const dated: { path: string; time: number }[] = [];
  for (const path of paths) {
    const found = await stat(path).catch((cause: unknown) => {
      const remedy = 'Check the path; relative paths start at the current folder.';
      throw new LoraError('FILE_MISSING', `"${path}" cannot be read.`, remedy, { option: 'path', found: path, cause });
    });
    dated.push({ path, time: found.mtimeMs });
  }
  return dated.toSorted((a, b) => a.time - b.time).map(({ path }) => path);
}
