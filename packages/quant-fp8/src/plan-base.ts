import type { TensorOutline } from '@musubi/safetensors';
import { Fp8Error } from './errors.ts';
import { FP8_FORMATS } from './formats.ts';
import type { Fp8Format } from './formats.ts';
import { INT8_BLOCK_SIZE, int8ScaleShape, isInt8Shape } from './int8.ts';
import { assertWeightDtype } from './internal/weight-dtype.ts';
import type { WeightDtype } from './internal/weight-dtype.ts';
import { plannedOutlines, planQuantization } from './plan.ts';
import type { QuantizationPlan, QuantizeOptions } from './plan.ts';

/**
 * How the weights of a base model become 8 bits wide: `scaled` FP8 with scales, `int8` integers with a scale for each
 * block of 64, `cast` FP8 without scales, of every tensor.
 */
export type EightBitMethod = 'scaled' | 'int8' | 'cast';

/** A tensor that is only rounded to FP8. */
export interface PlannedCast {
  readonly name: string;
  readonly dtype: WeightDtype;
  readonly shape: readonly number[];
  readonly codes: TensorOutline;
}

/**
 * The plan of 8-bit integers: of the weights that are chosen, those whose rows are whole blocks.
 *
 * @throws {Fp8Error} as `planQuantization`
 */
export function planInt8(
  tensors: Iterable<TensorOutline>,
  { targets }: Pick<QuantizeOptions, 'targets'>,
): QuantizationPlan {
  const plan = planQuantization(tensors, { targets, mode: 'block', blockSize: INT8_BLOCK_SIZE });
  const weights = plan.weights.filter(({ shape }) => isInt8Shape(shape));
  const kept = plan.weights.filter(({ shape }) => !isInt8Shape(shape));
  return {
    weights: weights.map((weight) => ({
      ...weight,
      codes: { ...weight.codes, dtype: 'U8' },
      scale: { ...weight.scale, dtype: 'F32', shape: int8ScaleShape(weight.shape) },
    })),
    others: [...plan.others, ...kept.map(({ name, dtype, shape }) => ({ name, dtype, shape }))],
  };
}

/**
 * Every tensor of the file as FP8, without scales: what `model.to(torch.float8_e4m3fn)` does.
 *
 * @throws {Fp8Error} `ALREADY_QUANTIZED`, `UNSUPPORTED_DTYPE`, `NOTHING_MATCHES` for a file without tensors
 */
export function planCasts(tensors: Iterable<TensorOutline>, format: Fp8Format = 'e4m3'): readonly PlannedCast[] {
  const casts = Array.from(tensors, ({ name, dtype, shape }): PlannedCast => {
    assertWeightDtype(dtype, name);
    return { name, dtype, shape, codes: { name, dtype: FP8_FORMATS[format].dtype, shape } };
  });
  if (casts.length > 0) return casts;
  throw new Fp8Error('NOTHING_MATCHES', 'the file has no tensors.', 'Give the checkpoint of a model.');
}

export interface BasePlanOptions extends QuantizeOptions {
  /** default `scaled` */
  readonly method?: EightBitMethod;
  /** write what stays as it is, and the scales, as float32: for devices without 16-bit numbers. Default false */
  readonly wide?: boolean;
}

/**
 * The tensors of the file that `quantizeStore` would write, from a header alone.
 *
 * @throws {Fp8Error} as `planQuantization`
 */
export function planEightBit(tensors: Iterable<TensorOutline>, options: BasePlanOptions): readonly TensorOutline[] {
  const { method = 'scaled', format, wide = false } = options;
  if (method === 'cast') return planCasts(tensors, format).map(({ codes }) => codes);
  const outlines = plannedOutlines(method === 'int8' ? planInt8(tensors, options) : planQuantization(tensors, options));
  return wide ? outlines.map(widened) : outlines;
}

/** As float32, if it has 16 bits. */
export const widened = (outline: TensorOutline): TensorOutline =>
  isNarrow(outline) ? { ...outline, dtype: 'F32' } : outline;

export const isNarrow = ({ dtype }: TensorOutline): boolean => dtype === 'BF16' || dtype === 'F16';
