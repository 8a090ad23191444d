// Micikevicius et al. 2022, "FP8 formats for deep learning" (arXiv 2209.05433).

const value = new Float32Array(1);
const bits = new Uint32Array(value.buffer);

/** The values of the 256 codes of E4M3FN: bias 7, no infinity, NaN at 0x7F and 0xFF, largest 448. */
export const E4M3_VALUES = decodeTable(3, 7, (magnitude) => (magnitude === 0x7f ? NaN : undefined));

/** The values of the 256 codes of E5M2: bias 15, infinities and NaN as in IEEE formats, largest 57344. */
export const E5M2_VALUES = decodeTable(2, 15, (magnitude) =>
  magnitude === 0x7c ? Infinity : magnitude > 0x7c ? NaN : undefined,
);

/** Nearest E4M3FN code, ties to even. It does not saturate: beyond 464, infinity and NaN give NaN with the sign kept. */
export function encodeE4M3(word: number): number {
  const sign = (word >>> 24) & 0x80;
  const magnitude = word & 0x7fffffff;
  if (magnitude > 0x43e80000) return sign | 0x7f; // 464, which ties down to 448
  if (magnitude < 0x3c800000) return sign | roundSubnormal(magnitude, 2 ** 14, 0x46800000); // 2^-6; step 2^-9
  const odd = (magnitude >>> 20) & 1;
  return sign | ((magnitude - 0x3c000000 + 0x7ffff + odd) >>> 20);
}

/** Nearest E5M2 code, ties to even; from 61440 up infinity; NaN is 0x7F with its sign. */
export function encodeE5M2(word: number): number {
  const sign = (word >>> 24) & 0x80;
  const magnitude = word & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7f;
  if (magnitude >= 0x47700000) return sign | 0x7c; // 61440, halfway between the largest value and the next
  if (magnitude < 0x38800000) return sign | roundSubnormal(magnitude, 2 ** 7, 0x43000000); // 2^-14; step 2^-16
  const odd = (magnitude >>> 21) & 1;
  return sign | ((magnitude - 0x38000000 + 0xfffff + odd) >>> 21);
}

/** Adds a power of two whose float32 neighbours lie one subnormal step apart, so that the adder does the rounding. */
function roundSubnormal(magnitude: number, shift: number, shiftBits: number): number {
  bits[0] = magnitude;
  value[0] = value[0]! + shift;
  return bits[0]! - shiftBits;
}

function decodeTable(
  mantissaBits: number,
  bias: number,
  special: (magnitude: number) => number | undefined,
): Float32Array {
  const one = 1 << mantissaBits;
  return Float32Array.from({ length: 256 }, (_, code) => {
    const magnitude = code & 0x7f;
    const exponent = magnitude >> mantissaBits;
    const mantissa = magnitude & (one - 1);
    const finite =
      exponent === 0
        ? mantissa * 2 ** (1 - bias - mantissaBits)
        : (one + mantissa) * 2 ** (exponent - bias - mantissaBits);
    const decoded = special(magnitude) ?? finite;
    return code & 0x80 ? -decoded : decoded;
  });
}
