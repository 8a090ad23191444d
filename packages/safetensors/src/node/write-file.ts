import { serializeSafetensors, tensorData } from '../serialize.ts';
import type { TensorToWrite, WriteOptions } from '../serialize.ts';
import { replaceFile } from './atomic.ts';

/**
 * Writes a safetensors file in its canonical order, one tensor in memory at a time where `data` is a function. The path
 * holds the old file or the whole new one, never a part.
 *
 * @throws {SafetensorsError} `WRITE_FAILED`, `FILE_IN_USE`, `SIZE_MISMATCH`, and what `serializeSafetensors` throws
 */
export async function writeSafetensorsFile(
  path: string,
  tensors: Iterable<TensorToWrite> | AsyncIterable<TensorToWrite>,
  options?: WriteOptions,
): Promise<void> {
  const all: TensorToWrite[] = [];
  for await (const tensor of tensors) all.push(tensor);
  const { header, order } = serializeSafetensors(all, options);
  await replaceFile(path, async (write) => {
    await write(header);
    for (const placed of order) await write(await tensorData(placed));
  });
}
