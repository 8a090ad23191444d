import type { TensorStore, TensorToWrite } from '@musubi/safetensors';
import { Fp8Error } from './errors.ts';
import { planQuantization } from './plan.ts';
import type { QuantizationReport, QuantizedTensor, QuantizeOptions } from './plan.ts';
import { quantizeWeight, scaleBytes } from './quantize.ts';

/** A tensor of the checkpoint before it is quantized. */
export interface HookedTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** little-endian bytes; they may be changed in place */
  readonly data: Uint8Array;
}

/**
 * Sees each tensor first, also those that are not quantized, e.g. to merge an adapter into it. It returns new bytes of
 * the same dtype and shape, or nothing to leave the tensor as it is.
 */
export type TensorHook = (tensor: HookedTensor) => Uint8Array | undefined | Promise<Uint8Array | undefined>;

/**
 * Quantizes a checkpoint in memory, e.g. in a browser: the tensors of the new file, for `encodeSafetensors`. For files
 * there is `quantizeFile` of `./node`, which holds a few megabytes of them at a time.
 *
 * @throws {Fp8Error} as `planQuantization`, and `NOT_FINITE`, `HOOK_RESULT`
 */
export async function quantizeTensors(
  store: Pick<TensorStore, 'tensors' | 'read'>,
  options: QuantizeOptions & { readonly hook?: TensorHook },
): Promise<{ readonly tensors: readonly TensorToWrite[]; readonly report: QuantizationReport }> {
  const plan = planQuantization(store.tensors.values(), options);
  const tensors: TensorToWrite[] = [];
  const weights: MeasuredTensor[] = [];
  for (const outline of plan.others) {
    tensors.push({ ...outline, data: await hookedBytes(outline, await store.read(outline.name), options.hook) });
  }
  for (const { name, dtype, shape, codes, scale } of plan.weights) {
    const data = await hookedBytes({ name, dtype, shape }, await store.read(name), options.hook);
    const quantized = quantizeWeight({ name, dtype, shape, data }, options);
    tensors.push({ ...codes, data: quantized.codes }, { ...scale, data: scaleBytes(quantized) });
    const { mode, scaleShape, relativeError, squaredNorm } = quantized;
    weights.push({ report: { name, dtype, shape, mode, scaleShape, relativeError }, squaredNorm });
  }
  return { tensors, report: reportOf(weights, plan.others.length) };
}

export interface MeasuredTensor {
  readonly report: QuantizedTensor;
  /** `Σ w²` */
  readonly squaredNorm: number;
}

/** Sums the errors of the weights; each counts by its norm. */
export function reportOf(measured: readonly MeasuredTensor[], others: number): QuantizationReport {
  let [norm, distance] = [0, 0];
  for (const { report, squaredNorm } of measured) {
    norm += squaredNorm;
    distance += report.relativeError ** 2 * squaredNorm;
  }
  return {
    weights: measured.map(({ report }) => report),
    others,
    relativeError: norm === 0 ? 0 : Math.sqrt(distance / norm),
  };
}

/** @throws {Fp8Error} `HOOK_RESULT` when the hook returns another number of bytes */
export async function hookedBytes(
  tensor: Omit<HookedTensor, 'data'>,
  data: Uint8Array,
  hook: TensorHook | undefined,
): Promise<Uint8Array> {
  const changed = (await hook?.({ ...tensor, data })) ?? data;
  if (changed.byteLength === data.byteLength) return changed;
  throw new Fp8Error(
    'HOOK_RESULT',
    `the hook returned ${changed.byteLength} bytes for ${tensor.name}, which has ${data.byteLength}.`,
    'Return bytes of the same dtype and shape.',
    { tensor: tensor.name, found: changed.byteLength, expected: String(data.byteLength) },
  );
}
