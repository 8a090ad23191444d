import { SafetensorsError } from './error.ts';

/** Every dtype with its bytes an element, in the order in which the format stores the tensors of a file. */
const BYTES = {
  U64: 8,
  I64: 8,
  F64: 8,
  F32: 4,
  U32: 4,
  I32: 4,
  BF16: 2,
  F16: 2,
  U16: 2,
  I16: 2,
  F8_E4M3: 1,
  F8_E5M2: 1,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;

export type SafetensorsDtype = keyof typeof BYTES;

/** The dtypes that are read and written, in the order of storage: widest first, so that every tensor is aligned. */
export const SAFETENSORS_DTYPES = Object.keys(BYTES) as readonly SafetensorsDtype[];

/** Bytes of one element: 1, 2, 4 or 8. */
export function bytesPerElement(dtype: SafetensorsDtype): number {
  return BYTES[dtype];
}

export function isSafetensorsDtype(text: unknown): text is SafetensorsDtype {
  return typeof text === 'string' && Object.hasOwn(BYTES, text);
}

/**
 * Bytes of a tensor.
 *
 * @throws {SafetensorsError} `HEADER_INVALID` when a size is no integer ≥ 0 or the product passes 2^53
 */
export function tensorByteLength(
  dtype: SafetensorsDtype,
  shape: readonly number[],
  where: { readonly file?: string; readonly tensor?: string } = {},
): number {
  let bytes: number = BYTES[dtype];
  for (const size of shape) {
    bytes *= size;
    if (!Number.isSafeInteger(size) || size < 0 || !Number.isSafeInteger(bytes)) {
      throw new SafetensorsError(
        'HEADER_INVALID',
        `tensor "${where.tensor ?? ''}" has the impossible shape [${shape.slice(0, 16).join(', ')}].`,
        'Sizes are integers from 0 and their product stays below 2^53.',
        where,
      );
    }
  }
  return bytes;
}
