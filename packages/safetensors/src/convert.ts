import { bytesPerElement } from './dtype.ts';
import type { SafetensorsDtype } from './dtype.ts';
import { SafetensorsError } from './error.ts';
import { encodeFloat16, float16Values } from './internal/float16.ts';
import { E4M3_VALUES, E5M2_VALUES, encodeE4M3, encodeE5M2 } from './internal/float8.ts';
import { float32FromInt64, float32FromUint64 } from './internal/int64.ts';

/**
 * Values of a tensor as float32, in fresh memory.
 *
 * F16, BF16, F8_E4M3 and F8_E5M2 are exact; F64 and wide integers are rounded once, to nearest even; BOOL gives 0 and 1.
 *
 * @param bytes little-endian, any alignment
 * @throws {SafetensorsError} `SIZE_MISMATCH` when `bytes` is no whole number of elements
 */
export function toFloat32(bytes: Uint8Array, dtype: SafetensorsDtype): Float32Array {
  const width = bytesPerElement(dtype);
  if (bytes.byteLength % width !== 0) {
    throw new SafetensorsError(
      'SIZE_MISMATCH',
      `${bytes.byteLength} bytes are no whole number of ${dtype} elements of ${width} bytes.`,
      'Give the bytes of the whole tensor.',
    );
  }
  return DECODERS[dtype](bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes));
}

/**
 * float32 values as the bytes of another floating-point dtype, rounded to nearest, ties to even; signs of zero and
 * subnormals are kept.
 *
 * Too large values become infinity, in F8_E4M3, which has none, NaN (beyond 464: it does not saturate). NaN stays NaN.
 *
 * @returns little-endian bytes in fresh memory
 * @throws {SafetensorsError} `CONVERSION_UNSUPPORTED` for an integer dtype or BOOL
 *
 * @example
 * ```ts
 * import { fromFloat32, toFloat32 } from '@musubi/safetensors';
 *
 * console.log(toFloat32(fromFloat32(Float32Array.of(1, 0.1), 'BF16'), 'BF16'));
 * // Float32Array(2) [ 1, 0.10009765625 ]
 * ```
 */
export function fromFloat32(values: Float32Array, dtype: SafetensorsDtype): Uint8Array {
  const encode = ENCODERS[dtype];
  if (encode) return encode(values);
  throw new SafetensorsError(
    'CONVERSION_UNSUPPORTED',
    `float32 values cannot be stored as ${dtype} without loss of meaning.`,
    `Choose one of ${Object.keys(ENCODERS).join(', ')}.`,
  );
}

type Decoder = (bytes: Uint8Array) => Float32Array;

const DECODERS: Record<SafetensorsDtype, Decoder> = {
  F64: (bytes) => Float32Array.from(view(Float64Array, bytes)),
  F32: (bytes) => view(Float32Array, bytes).slice(),
  F16: (bytes) => lookUp(view(Uint16Array, bytes), float16Values()),
  BF16: (bytes) => {
    const codes = view(Uint16Array, bytes);
    const words = new Uint32Array(codes.length);
    for (let i = 0; i < words.length; i++) words[i] = codes[i]! << 16;
    return new Float32Array(words.buffer);
  },
  F8_E4M3: (bytes) => lookUp(bytes, E4M3_VALUES),
  F8_E5M2: (bytes) => lookUp(bytes, E5M2_VALUES),
  I64: (bytes) => float32FromInt64(view(Uint32Array, bytes)),
  U64: (bytes) => float32FromUint64(view(Uint32Array, bytes)),
  I32: (bytes) => Float32Array.from(view(Int32Array, bytes)),
  U32: (bytes) => Float32Array.from(view(Uint32Array, bytes)),
  I16: (bytes) => Float32Array.from(view(Int16Array, bytes)),
  U16: (bytes) => Float32Array.from(view(Uint16Array, bytes)),
  I8: (bytes) => Float32Array.from(view(Int8Array, bytes)),
  U8: (bytes) => Float32Array.from(bytes),
  BOOL: (bytes) => Float32Array.from(bytes, (byte) => (byte === 0 ? 0 : 1)),
};

const ENCODERS: Partial<Record<SafetensorsDtype, (values: Float32Array) => Uint8Array>> = {
  F64: (values) => bytesOf(Float64Array.from(values)),
  F32: (values) => bytesOf(values.slice()),
  F16: (values) => bytesOf(mapWords(values, new Uint16Array(values.length), encodeFloat16)),
  BF16: (values) => bytesOf(mapWords(values, new Uint16Array(values.length), encodeBfloat16)),
  F8_E4M3: (values) => mapWords(values, new Uint8Array(values.length), encodeE4M3),
  F8_E5M2: (values) => mapWords(values, new Uint8Array(values.length), encodeE5M2),
};

/** The upper half of a float32, rounded to nearest even; NaN is 0x7FC0 whatever its sign and payload. */
function encodeBfloat16(word: number): number {
  if ((word & 0x7fffffff) > 0x7f800000) return 0x7fc0;
  return (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
}

interface ViewConstructor<T> {
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T;
  readonly BYTES_PER_ELEMENT: number;
}

function view<T>(type: ViewConstructor<T>, bytes: Uint8Array): T {
  return new type(bytes.buffer, bytes.byteOffset, bytes.byteLength / type.BYTES_PER_ELEMENT);
}

function bytesOf(array: {
  readonly buffer: ArrayBufferLike;
  readonly byteOffset: number;
  readonly byteLength: number;
}) {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function lookUp(codes: Uint8Array | Uint16Array, values: Float32Array): Float32Array {
  const out = new Float32Array(codes.length);
  for (let i = 0; i < out.length; i++) out[i] = values[codes[i]!]!;
  return out;
}

function mapWords<T extends Uint8Array | Uint16Array>(
  values: Float32Array,
  out: T,
  encode: (word: number) => number,
): T {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < out.length; i++) out[i] = encode(words[i]!);
  return out;
}
