import { serializeSafetensors } from '../serialize.ts';
import type { PlacedTensor, TensorOutline, WriteOptions } from '../serialize.ts';
import { replaceFile } from './atomic.ts';

/** A file whose header is written and whose tensors are not. */
export interface FileToFill<T> {
  /** of the temporary file that will take the place of the one asked for */
  readonly path: string;
  /** the tensors in the order of the file, with the byte ranges that are to be written */
  readonly order: readonly PlacedTensor<T>[];
}

/**
 * Writes a safetensors file whose tensors are written by others, in any order, e.g. by several threads at once: `fill` gets
 * the path of a temporary file and the place of each tensor, and writes there. The path asked for holds the old file or the
 * whole new one, never a part; when `fill` rejects, the temporary file is removed.
 *
 * @throws {SafetensorsError} `WRITE_FAILED`, `FILE_IN_USE`, and what `serializeSafetensors` throws
 */
export async function fillSafetensorsFile<T extends TensorOutline>(
  path: string,
  tensors: Iterable<T>,
  options: WriteOptions,
  fill: (file: FileToFill<T>) => Promise<void>,
): Promise<void> {
  const { header, order } = serializeSafetensors(tensors, options);
  await replaceFile(path, async (write, temporary) => {
    await write(header);
    await fill({ path: temporary, order });
  });
}
