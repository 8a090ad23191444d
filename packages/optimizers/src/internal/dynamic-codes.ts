/** Values that share one scale. */
export const BLOCK = 256;

/** A code book of 256 sorted numbers in [−1, 1] or [0, 1], and the middles between them. */
export interface CodeBook {
  readonly values: Float32Array;
  /** `middles[k]` lies between `values[k]` and `values[k + 1]`. */
  readonly middles: Float32Array;
  /** Code of 0. */
  readonly zero: number;
}

const f32 = Math.fround;

/**
 * The dynamic code book of 8-bit optimizers (Dettmers et al. 2022, arXiv 2110.02861, §2.2; Dettmers 2015, arXiv 1511.04561):
 * in each of seven decades the middles of equal intervals of [0.1, 1], twice as many a decade upwards, and 0 and 1.
 *
 *     10^(i−6) · middles of n equal parts of [0.1, 1],   i = 0 … 6,   n = 2^i signed (with both signs), 2^(i+1) unsigned
 *
 * Rounded to float32 at every step, as bitsandbytes' table is.
 */
export function dynamicCodeBook(isSigned: boolean): CodeBook {
  const numbers = [0, 1];
  for (let i = 0; i < 7; i++) {
    const ends = equalParts(2 ** (isSigned ? i : i + 1));
    const decade = f32(10 ** (i - 6));
    for (let k = 0; k < ends.length - 1; k++) {
      const value = f32(decade * f32((ends[k]! + ends[k + 1]!) / 2));
      numbers.push(value, ...(isSigned ? [-value] : []));
    }
  }
  const values = Float32Array.from(numbers).toSorted();
  const middles = Float32Array.from({ length: 255 }, (_, k) => (values[k]! + values[k + 1]!) / 2);
  return { values, middles, zero: values.indexOf(0) };
}

/** Ends of equal parts of [0.1, 1], counted from the nearer side and rounded once, as PyTorch's `linspace` gives them. */
function equalParts(count: number): Float32Array {
  const first = f32(0.1);
  const width = f32(f32(1 - first) / count);
  const half = (count + 1) >> 1;
  return Float32Array.from({ length: count + 1 }, (_, k) => (k < half ? first + width * k : 1 - width * (count - k)));
}

/** The code whose value is nearest to x, by bisection; of two that are equally near, the even one. */
export function nearestCode(x: number, middles: Float32Array): number {
  let code = 0;
  for (let half = 128; half > 0; half >>= 1) if (x > middles[code + half - 1]!) code += half;
  return code % 2 === 1 && x === middles[code] ? code + 1 : code;
}

export const signedCodes: CodeBook = dynamicCodeBook(true);
export const unsignedCodes: CodeBook = dynamicCodeBook(false);
