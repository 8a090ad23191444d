import type { TensorInfo } from '@musubi/safetensors';

/** Number type of a base model. */
export type BaseDtype = 'float32' | 'float16' | 'bfloat16';

const dtypes: Readonly<Record<string, BaseDtype>> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' };

/**
 * The type that most of a checkpoint's weights have. The original rounds noise levels of `sigma` sampling and weights of
 * the loss to it.
 */
export function baseDtype(weights: ReadonlyMap<string, Pick<TensorInfo, 'dtype' | 'byteLength'>>): BaseDtype {
  const bytes = new Map<string, number>();
  for (const { dtype, byteLength } of weights.values()) bytes.set(dtype, (bytes.get(dtype) ?? 0) + byteLength);
  const [most] = [...bytes].toSorted(([, a], [, b]) => b - a);
  return dtypes[most?.[0] ?? ''] ?? 'float32';
}
