// One word of scratch memory seen both ways.
const value = new Float32Array(1);
const bits = new Uint32Array(value.buffer);

let table: Float32Array | null = null;

/** The values of all 65536 IEEE half-precision codes; made at first use. */
export function float16Values(): Float32Array {
  if (table) return table;
  table = new Float32Array(65536);
  for (let code = 0; code < 65536; code++) {
    const exponent = (code >> 10) & 31;
    const mantissa = code & 1023;
    const magnitude =
      exponent === 31
        ? mantissa === 0
          ? Infinity
          : NaN
        : exponent === 0
          ? mantissa * 2 ** -24
          : (1024 + mantissa) * 2 ** (exponent - 25);
    table[code] = code & 0x8000 ? -magnitude : magnitude;
  }
  return table;
}

/** Nearest half-precision code, ties to even; from 65520 up infinity; NaN is 0x7E00 with its sign. */
export function encodeFloat16(word: number): number {
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // 65520, halfway between the largest value and the next
  if (magnitude < 0x38800000) {
    // Below the smallest normal: adding 0.5 makes the float32 adder round at 2^-24, the step of the subnormals.
    bits[0] = magnitude;
    value[0] = value[0]! + 0.5;
    return sign | (bits[0]! - 0x3f000000);
  }
  const odd = (magnitude >>> 13) & 1;
  return sign | ((magnitude - 0x38000000 + 0xfff + odd) >>> 13);
}
