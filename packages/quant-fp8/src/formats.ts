import { Fp8Error } from './errors.ts';

/** An 8-bit float: `e4m3` (E4M3FN, no infinity) or `e5m2` (as IEEE formats). */
export type Fp8Format = 'e4m3' | 'e5m2';

export interface Fp8FormatSpec {
  /** as safetensors headers spell it */
  readonly dtype: 'F8_E4M3' | 'F8_E5M2';
  /** largest finite value */
  readonly max: number;
  /** smallest normal value */
  readonly smallestNormal: number;
  /** smallest positive value, the step between subnormals */
  readonly smallestSubnormal: number;
  /** bits of the mantissa that are stored */
  readonly mantissaBits: 3 | 2;
  /** what is taken off the exponent as it is stored */
  readonly bias: 7 | 15;
}

/** The two formats of Micikevicius et al. 2022, "FP8 formats for deep learning" (arXiv 2209.05433), table 1. */
export const FP8_FORMATS: Readonly<Record<Fp8Format, Fp8FormatSpec>> = {
  e4m3: {
    dtype: 'F8_E4M3',
    max: 448,
    smallestNormal: 2 ** -6,
    smallestSubnormal: 2 ** -9,
    mantissaBits: 3,
    bias: 7,
  },
  e5m2: {
    dtype: 'F8_E5M2',
    max: 57344,
    smallestNormal: 2 ** -14,
    smallestSubnormal: 2 ** -16,
    mantissaBits: 2,
    bias: 15,
  },
};

/** @throws {Fp8Error} `UNKNOWN_FORMAT` */
export function formatSpec(format: Fp8Format): Fp8FormatSpec {
  if (Object.hasOwn(FP8_FORMATS, format)) return FP8_FORMATS[format];
  const expected = Object.keys(FP8_FORMATS).join(', ');
  throw new Fp8Error('UNKNOWN_FORMAT', `"${String(format)}" is no FP8 format.`, `Known are ${expected}.`, {
    found: String(format),
    expected,
  });
}

/** The format whose codes a safetensors dtype names. */
export function formatOf(dtype: string): Fp8Format | undefined {
  return dtype === 'F8_E4M3' ? 'e4m3' : dtype === 'F8_E5M2' ? 'e5m2' : undefined;
}
