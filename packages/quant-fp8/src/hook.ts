import { Fp8Error } from './errors.ts';

/** A tensor of the checkpoint before it is quantized. */
export interface HookedTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** little-endian bytes; they may be changed in place */
  readonly data: Uint8Array;
}

/**
 * Sees each tensor first, also those that are not quantized, e.g. to merge an adapter into it. It returns new bytes of
 * the same dtype and shape, or nothing to leave the tensor as it is.
 */
export type TensorHook = (tensor: HookedTensor) => Uint8Array | undefined | Promise<Uint8Array | undefined>;

/** @throws {Fp8Error} `HOOK_RESULT` when the hook returns another number of bytes */
export async function hookedBytes(
  tensor: Omit<HookedTensor, 'data'>,
  data: Uint8Array,
  hook: TensorHook | undefined,
): Promise<Uint8Array> {
  const changed = (await hook?.({ ...tensor, data })) ?? data;
  if (changed.byteLength === data.byteLength) return changed;
  throw new Fp8Error(
    'HOOK_RESULT',
    `the hook returned ${changed.byteLength} bytes for ${tensor.name}, which has ${data.byteLength}.`,
    'Return bytes of the same dtype and shape.',
    { tensor: tensor.name, found: changed.byteLength, expected: String(data.byteLength) },
  );
}
