import { fromFloat32, toFloat32 } from '@musubi/safetensors';
import { Fp8Error } from '../errors.ts';

/** Dtypes of weights that are quantized; scales are rounded to and stored in the same one. */
export type WeightDtype = 'F32' | 'BF16' | 'F16';

export const WEIGHT_DTYPES = ['F32', 'BF16', 'F16'] as const satisfies readonly WeightDtype[];

/** Least scale, which keeps a block of zeros from dividing by zero: 1e-8, in float16 less than half of the smallest number. */
export function smallestScale(dtype: WeightDtype): number {
  return toFloat32(fromFloat32(Float32Array.of(1e-8), dtype), dtype)[0]!;
}

/** @throws {Fp8Error} `ALREADY_QUANTIZED` for 8-bit types, `UNSUPPORTED_DTYPE` for other types */
export function assertWeightDtype(dtype: string, tensor?: string): asserts dtype is WeightDtype {
  if ((WEIGHT_DTYPES as readonly string[]).includes(dtype)) return;
  const what = tensor === undefined ? 'the weight' : `${tensor}`;
  const facts = { ...(tensor === undefined ? {} : { tensor }), found: dtype, expected: WEIGHT_DTYPES.join(', ') };
  if (['F8_E4M3', 'F8_E5M2', 'I8', 'U8'].includes(dtype)) {
    throw new Fp8Error(
      'ALREADY_QUANTIZED',
      `${what} is ${dtype}: it has 8 bits already, and quantizing it again would only add errors.`,
      'Use the checkpoint in bf16, fp16 or fp32.',
      facts,
    );
  }
  const remedy = 'Convert it to F32, BF16 or F16, or exclude it from quantization.';
  throw new Fp8Error('UNSUPPORTED_DTYPE', `${what} is ${dtype}, which is not quantized.`, remedy, facts);
}
