import { fromFloat32, toFloat32 } from '@musubi/safetensors';
import { Fp8Error } from './errors.ts';
import { formatSpec } from './formats.ts';
import type { Fp8Format } from './formats.ts';
import { chooseGrouping, groupingOf } from './grouping.ts';
import type { Fp8Mode } from './grouping.ts';
import { assertWeightDtype } from './internal/weight-dtype.ts';
import type { WeightDtype } from './internal/weight-dtype.ts';
import { sharedEngine } from './internal/shared-engine.ts';
import { dequantizeStream, quantizeStream } from './internal/stream.ts';

/** How weights are quantized. */
export interface Fp8Options {
  /** default `e4m3` */
  readonly format?: Fp8Format;
  /** default `block` */
  readonly mode?: Fp8Mode;
  /** numbers of a row that share a scale in block mode, default 64 */
  readonly blockSize?: number;
}

export interface WeightToQuantize {
  /** named in errors */
  readonly name?: string;
  readonly dtype: WeightDtype;
  readonly shape: readonly number[];
  /** little-endian bytes, as safetensors files have them */
  readonly data: Uint8Array;
}

export interface QuantizedWeight {
  readonly format: Fp8Format;
  /** the mode after falling back */
  readonly mode: Fp8Mode;
  /** shape of the codes */
  readonly shape: readonly number[];
  readonly codes: Uint8Array;
  /** `[]`, `[out, 1]` or `[out, blocks, 1]` */
  readonly scaleShape: readonly number[];
  readonly scales: Float32Array;
  /** dtype of the weight, to which scales are rounded and in which they are stored */
  readonly scaleDtype: WeightDtype;
  /** `√(Σ (w − ŵ)² / Σ w²)`, ŵ dequantized; 0 for a weight of zeros */
  readonly relativeError: number;
  /** `Σ w²` */
  readonly squaredNorm: number;
}

/** The part of a {@link QuantizedWeight} that says what the weight is. */
export type Fp8Weight = Omit<QuantizedWeight, 'mode' | 'relativeError' | 'squaredNorm'>;

/**
 * Quantizes a weight to 8-bit floats with a scale for the whole of it, for each row, or for each block of a row:
 *
 *     s = round(max|w| / max)     over the group, in the weight's own dtype, at least 1e-8
 *     q = encode(clamp(w / s, ±max))     in float32
 *
 * @param weight `[out, in]`; other shapes get one scale
 * @throws {Fp8Error} `UNKNOWN_FORMAT`, `UNKNOWN_MODE`, `BLOCK_SIZE_INVALID`, `EMPTY_TENSOR`, `NOT_FINITE`,
 *   `ALREADY_QUANTIZED`, `UNSUPPORTED_DTYPE`, `SHAPE_MISMATCH` (bytes and shape differ)
 *
 * @example
 * ```ts
 * import { dequantizeWeight, quantizeWeight } from '@musubi/quant-fp8';
 * import { fromFloat32 } from '@musubi/safetensors';
 *
 * const data = fromFloat32(Float32Array.of(1, 2, 100, 400), 'F32');
 * const weight = quantizeWeight({ name: 'w', dtype: 'F32', shape: [2, 2], data }, { mode: 'channel' });
 * console.log(weight.codes, [...dequantizeWeight(weight)].map((w) => w.toFixed(1)));
 * // Uint8Array(4) [ 118, 126, 110, 126 ] [ '1.0', '2.0', '100.0', '400.0' ]
 * ```
 */
export function quantizeWeight(weight: WeightToQuantize, options: Fp8Options = {}): QuantizedWeight {
  const { name, dtype, shape, data } = weight;
  const { format = 'e4m3', mode = 'block', blockSize } = options;
  formatSpec(format);
  assertWeightDtype(dtype, name);
  const grouping = chooseGrouping(shape, mode, blockSize);
  const count = grouping.groups * grouping.size;
  assertByteLength(data, count * (dtype === 'F32' ? 4 : 2), weight);
  const codes = new Uint8Array(count);
  let written = 0;
  const { scales, relativeError, squaredNorm } = quantizeStream(
    sharedEngine(),
    { name, dtype, format, grouping },
    (into, firstByte) => into.set(data.subarray(firstByte, firstByte + into.byteLength)),
    (bytes) => {
      codes.set(bytes, written);
      written += bytes.byteLength;
    },
  );
  const { scaleShape } = grouping;
  const measured = { relativeError, squaredNorm };
  return { format, mode: grouping.mode, shape, codes, scaleShape, scales, scaleDtype: dtype, ...measured };
}

/**
 * The weight that codes and scales stand for, `ŵ = round(decode(q) · s)`, rounded once to the dtype of the scale.
 *
 * @returns `[out, in]`, flat in row-major order
 * @throws {Fp8Error} `UNKNOWN_FORMAT`, `SHAPE_MISMATCH`, `UNSUPPORTED_DTYPE`, `SCALE_INVALID`
 */
export function dequantizeWeight(weight: Fp8Weight): Float32Array {
  return toFloat32(dequantizeToBytes(weight), weight.scaleDtype);
}

/** As {@link dequantizeWeight}, as bytes of the dtype of the scale. */
export function dequantizeToBytes(weight: Fp8Weight): Uint8Array {
  const { format, shape, codes, scaleShape, scales, scaleDtype: dtype } = weight;
  formatSpec(format);
  assertWeightDtype(dtype);
  const grouping = groupingOf(shape, scaleShape);
  const count = grouping.groups * grouping.size;
  assertByteLength(codes, count, { shape, dtype: formatSpec(format).dtype });
  assertByteLength(scales, grouping.groups * 4, { shape: scaleShape, dtype: 'F32' });
  const wrong = scales.find((scale) => !Number.isFinite(scale));
  if (wrong !== undefined) {
    const remedy = 'Give the scales that the weight was quantized with.';
    throw new Fp8Error('SCALE_INVALID', `a scale is ${wrong}.`, remedy, { found: wrong, expected: 'a number' });
  }
  const bytes = new Uint8Array(count * (dtype === 'F32' ? 4 : 2));
  let written = 0;
  dequantizeStream(
    sharedEngine(),
    { dtype, format, grouping },
    scales,
    (into, first) => into.set(codes.subarray(first, first + into.byteLength)),
    (piece) => {
      bytes.set(piece, written);
      written += piece.byteLength;
    },
  );
  return bytes;
}

/** The scales as they are stored: bytes of the weight's own dtype, which hold them exactly. */
export function scaleBytes({ scales, scaleDtype }: Pick<QuantizedWeight, 'scales' | 'scaleDtype'>): Uint8Array {
  return fromFloat32(scales, scaleDtype);
}

function assertByteLength(
  { byteLength }: { readonly byteLength: number },
  expected: number,
  { name, dtype, shape }: { readonly name?: string; readonly dtype: string; readonly shape: readonly number[] },
): void {
  if (byteLength === expected) return;
  throw new Fp8Error(
    'SHAPE_MISMATCH',
    `${name ?? 'the tensor'} comes with ${byteLength} bytes, but ${dtype} [${shape.join(', ')}] needs ${expected}.`,
    'Give data, dtype and shape that fit.',
    { ...(name === undefined ? {} : { tensor: name }), found: byteLength, expected: String(expected) },
  );
}
