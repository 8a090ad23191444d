import type { SavePrecision } from '@musubi/config';
import type { SafetensorsDtype, TensorToWrite } from '@musubi/safetensors';

import { fromFloat32 } from '@musubi/safetensors';

/** What an encoder gives: float32 values in row-major order. */
export interface EncodedValues {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** A cache file's contents, and the names of those tensors in which NaN was replaced by 0. */
export interface CacheContents {
  readonly tensors: readonly (TensorToWrite & { readonly data: Uint8Array })[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly notANumber: readonly string[];
}

/** Of the files, which readers compare with nothing so far. */
export const cacheFormatVersion = '1.0.1';

/** Number types of stored values: PyTorch's name, which is part of tensor names, and that of the file format. */
export const storedTypes: Readonly<Record<SavePrecision, { readonly torch: string; readonly file: SafetensorsDtype }>> =
  {
    bf16: { torch: 'bfloat16', file: 'BF16' },
    fp16: { torch: 'float16', file: 'F16' },
    fp32: { torch: 'float32', file: 'F32' },
  };

/** Contents of tensors by name; NaN becomes 0, as training could not go on from it. */
export function storeValues(
  values: ReadonlyMap<string, EncodedValues>,
  precision: SavePrecision,
  metadata: Readonly<Record<string, string>>,
): CacheContents {
  const notANumber: string[] = [];
  const dtype = storedTypes[precision].file;
  const tensors = [...values].map(([name, { shape, data }]) => {
    if (data.some(Number.isNaN)) notANumber.push(name);
    const numbers = notANumber.at(-1) === name ? data.map((value) => (Number.isNaN(value) ? 0 : value)) : data;
    return { name, dtype, shape, data: fromFloat32(numbers, dtype) };
  });
  return { tensors, metadata, notANumber };
}
