import { fromFloat32, toFloat32 } from '@musubi/safetensors';
import { Fp8Error } from './errors.ts';
import { formatSpec } from './formats.ts';
import type { Fp8Format } from './formats.ts';

/**
 * The nearest FP8 codes, ties to the even code; subnormals and the sign of zero are kept.
 *
 * Nothing saturates: beyond 464 `e4m3` gives NaN (0x7F, 0xFF when negative), from 61440 up `e5m2` gives infinity.
 * {@link encodeScaled} clamps first.
 *
 * @returns one code a value
 * @throws {Fp8Error} `UNKNOWN_FORMAT`
 *
 * @example
 * ```ts
 * import { decodeFp8, encodeFp8 } from '@musubi/quant-fp8';
 *
 * const codes = encodeFp8(Float32Array.of(1, 1.1, 448), 'e4m3');
 * console.log(decodeFp8(codes, 'e4m3')); // Float32Array(3) [ 1, 1.125, 448 ]
 * ```
 */
export function encodeFp8(values: Float32Array, format: Fp8Format): Uint8Array {
  return fromFloat32(values, formatSpec(format).dtype);
}

/**
 * The exact values of FP8 codes.
 *
 * @returns one value a code
 * @throws {Fp8Error} `UNKNOWN_FORMAT`
 */
export function decodeFp8(codes: Uint8Array, format: Fp8Format): Float32Array {
  return toFloat32(codes, formatSpec(format).dtype);
}

/**
 * Codes of values in units of `scale`:
 *
 *     q = encode(clamp(w / scale, ±max))      in float32; NaN gives 0
 *
 * @param scale finite, > 0
 * @throws {Fp8Error} `UNKNOWN_FORMAT`, `SCALE_INVALID`
 */
export function encodeScaled(values: Float32Array, scale: number, format: Fp8Format): Uint8Array {
  formatSpec(format);
  if (!(scale > 0 && scale < Infinity)) {
    throw new Fp8Error(
      'SCALE_INVALID',
      `values cannot be divided by a scale of ${scale}.`,
      'Use a positive number, such as the largest magnitude divided by that of the format; quantizeWeight finds it.',
      { found: scale, expected: 'a positive number' },
    );
  }
  return encodeClamped(values, scale, format);
}

/** As {@link encodeScaled} for a scale of 0 too, which a group of zeros has in float16: 0/0 gives 0. */
export function encodeClamped(values: Float32Array, scale: number, format: Fp8Format): Uint8Array {
  const { max } = formatSpec(format);
  const scaled = new Float32Array(values.length);
  for (let i = 0; i < scaled.length; i++) {
    // Division in float64, rounded to float32, is the division of float32.
    const quotient = Math.fround(values[i]! / scale);
    scaled[i] = quotient > max ? max : quotient < -max ? -max : quotient === quotient ? quotient : 0;
  }
  return encodeFp8(scaled, format);
}
