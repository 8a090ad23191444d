import type { DataType, HostTensor, TypedArray } from '../../src/index.ts';
import type { Tensor64 } from './tensor.ts';

import { isFloat } from '../../src/index.ts';

/** A float of `exponent` and `mantissa` bits, without the infinities where `finite` (FLOAT8E4M3FN). */
function decodeFloat(bits: number, exponent: number, mantissa: number, finite: boolean): number {
  const sign = (bits >> (exponent + mantissa)) & 1 ? -1 : 1;
  const e = (bits >> mantissa) & (2 ** exponent - 1);
  const m = bits & (2 ** mantissa - 1);
  const bias = 2 ** (exponent - 1) - 1;
  const top = e === 2 ** exponent - 1;
  if (top && finite && m === 2 ** mantissa - 1) return NaN;
  if (top && !finite) return m === 0 ? sign * Infinity : NaN;
  if (e === 0) return sign * m * 2 ** (1 - bias - mantissa);
  return sign * (1 + m / 2 ** mantissa) * 2 ** (e - bias);
}

const decoders: Partial<Record<DataType, (bits: number) => number>> = {
  float16: (bits) => decodeFloat(bits, 5, 10, false),
  bfloat16: (bits) => decodeFloat(bits, 8, 7, false),
  float8e4m3fn: (bits) => decodeFloat(bits, 4, 3, true),
  float8e5m2: (bits) => decodeFloat(bits, 5, 2, false),
};

/** The numbers that a tensor in memory holds. */
export function fromHost({ dtype, shape, data }: HostTensor): Tensor64 {
  const numbers = Array.from(data as ArrayLike<number | bigint>, Number);
  return { shape, data: Float64Array.from(numbers, decoders[dtype] ?? ((x) => x)) };
}

/** The nearest tensor in memory, for the dtypes that cross into ONNX Runtime as numbers. */
export function toHost(x: Tensor64, dtype: DataType): HostTensor {
  return { dtype, shape: x.shape, data: toTypedArray(x.data, dtype) };
}

function toTypedArray(data: Float64Array, dtype: DataType): TypedArray {
  if (dtype === 'float32') return Float32Array.from(data);
  if (dtype === 'float64') return Float64Array.from(data);
  if (dtype === 'int64') return BigInt64Array.from(data, BigInt);
  if (dtype === 'uint64') return BigUint64Array.from(data, BigInt);
  if (dtype === 'int32') return Int32Array.from(data);
  if (dtype === 'uint32') return Uint32Array.from(data);
  if (dtype === 'int16') return Int16Array.from(data);
  if (dtype === 'uint16') return Uint16Array.from(data);
  if (dtype === 'int8') return Int8Array.from(data);
  if (dtype === 'uint8' || dtype === 'bool') return Uint8Array.from(data);
  throw new RangeError(`toHost does not write ${dtype}`);
}

const integerBits: Partial<Record<DataType, number>> = {
  int8: 8,
  uint8: 8,
  int16: 16,
  uint16: 16,
  int32: 32,
  uint32: 32,
  int64: 64,
  uint64: 64,
};

/** An integer result as `dtype` keeps it (two's complement); floats stay doubles, never rounded. */
export function wrap(x: number, dtype: DataType): number {
  if (isFloat(dtype)) return x;
  if (dtype.endsWith('64')) {
    if (!Number.isSafeInteger(x)) throw new RangeError(`${x} is beyond the integers a double holds`);
    return x;
  }
  const span = 2 ** (integerBits[dtype] ?? 1);
  const positive = ((x % span) + span) % span;
  return dtype.startsWith('int') && positive >= span / 2 ? positive - span : positive;
}
