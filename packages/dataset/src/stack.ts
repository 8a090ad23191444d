import type { SafetensorsDtype } from '@musubi/safetensors';

import { cacheContent } from './cache-keys.ts';
import { DatasetError } from './errors.ts';

/** A tensor of a cache file with its values as float32. */
export interface CachedValues {
  /** File and key it was read from. */
  readonly file: string;
  readonly key: string;
  /** As stored. */
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Values of one item, or of a whole batch, as float32; `dtype` is the one of the cache file. */
export interface BatchTensor {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export interface StackedBatch {
  /** By content name: items along a new first axis, e.g. `latents` `[B, 16, F, H, W]`. */
  readonly stacked: ReadonlyMap<string, BatchTensor>;
  /** By content name: one tensor an item, e.g. `t5` `[L, 4096]`. */
  readonly lists: ReadonlyMap<string, readonly BatchTensor[]>;
  /** Contents that some items do not have; these are stacked over the items that do. */
  readonly incomplete: readonly { readonly name: string; readonly missingIn: number }[];
}

/**
 * Puts the tensors of several items together by content name (`cacheContent`).
 *
 * @param items for each item the tensors of its cache files
 * @throws {DatasetError} `BATCH_MIXED_SHAPES`, `BATCH_MIXED_DTYPES`, `CACHE_DUPLICATE_CONTENT`
 */
export function stackItems(items: readonly (readonly CachedValues[])[]): StackedBatch {
  const stacked = new Map<string, CachedValues[]>();
  const lists = new Map<string, CachedValues[]>();
  items.forEach((tensors) => {
    const seen = new Map<string, CachedValues>();
    for (const tensor of tensors) {
      const { name, isList } = cacheContent(tensor.key);
      const other = seen.get(name);
      if (other) throw duplicateContent(name, other, tensor);
      seen.set(name, tensor);
      const group = isList ? lists : stacked;
      const together = group.get(name);
      if (together) together.push(tensor);
      else group.set(name, [tensor]);
    }
  });
  const counts = [...stacked, ...lists].map(([name, tensors]) => ({ name, missingIn: items.length - tensors.length }));
  return {
    stacked: new Map([...stacked].map(([name, tensors]) => [name, stack(name, tensors)])),
    lists,
    incomplete: counts.filter(({ missingIn }) => missingIn > 0),
  };
}

function stack(name: string, tensors: readonly CachedValues[]): BatchTensor {
  const [first, ...others] = tensors;
  if (!first) throw new Error(`internal: nothing to stack for ${name}.`);
  for (const tensor of others) {
    if (tensor.dtype !== first.dtype) throw mixed('BATCH_MIXED_DTYPES', name, tensor, first);
    if (tensor.shape.join() !== first.shape.join()) throw mixed('BATCH_MIXED_SHAPES', name, tensor, first);
  }
  const data = new Float32Array(first.data.length * tensors.length);
  tensors.forEach((tensor, index) => data.set(tensor.data, index * first.data.length));
  return { dtype: first.dtype, shape: [tensors.length, ...first.shape], data };
}

function mixed(
  code: 'BATCH_MIXED_SHAPES' | 'BATCH_MIXED_DTYPES',
  name: string,
  tensor: CachedValues,
  other: CachedValues,
): DatasetError {
  const isShape = code === 'BATCH_MIXED_SHAPES';
  const show = ({ dtype, shape }: CachedValues) => (isShape ? `[${shape.join(', ')}]` : dtype);
  const what =
    `A batch holds ${name} of different ${isShape ? 'shapes' : 'data types'}: ` +
    `${tensor.file} has ${show(tensor)} (${tensor.key}), ${other.file} has ${show(other)}.`;
  const remedy = isShape
    ? 'Make the caches again with the resolution and enable_bucket of this configuration, or set batch_size = 1.'
    : 'Make the caches of this dataset again with one data type, or set batch_size = 1.';
  return new DatasetError(code, what, remedy, { file: tensor.file, key: tensor.key });
}

function duplicateContent(name: string, one: CachedValues, other: CachedValues): DatasetError {
  const what = `${other.file} holds ${name} twice: as ${one.key} and as ${other.key}${one.file === other.file ? '' : ` (${one.file})`}.`;
  const facts = { file: other.file, key: other.key };
  return new DatasetError('CACHE_DUPLICATE_CONTENT', what, 'Delete the file and make the cache again.', facts);
}
