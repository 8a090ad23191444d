import type { TensorStore, TensorToWrite } from '@musubi/safetensors';
import { quantizeEach } from './internal/quantize-each.ts';
import type { QuantizeEachOptions } from './internal/quantize-each.ts';
import { planStore } from './plan-store.ts';
import type { StoreOptions } from './plan-store.ts';
import type { QuantizationReport } from './plan.ts';

export interface QuantizeTensorsOptions extends StoreOptions, QuantizeEachOptions {}

/**
 * Quantizes a checkpoint in memory: the tensors of the new file, for `encodeSafetensors`. Where it may be too large for
 * that there are `quantizeToBlob`, which holds one of them at a time, and for files `quantizeFile` of `./node`.
 *
 * @throws {Fp8Error} as `planQuantization`, and `NOT_FINITE`, `HOOK_RESULT`
 */
export async function quantizeTensors(
  store: Pick<TensorStore, 'tensors' | 'read'>,
  options: QuantizeTensorsOptions,
): Promise<{ readonly tensors: readonly TensorToWrite[]; readonly report: QuantizationReport }> {
  const plan = planStore(store.tensors, options);
  const made = new Map<string, Uint8Array>();
  const report = await quantizeEach(store, plan, options, (name, bytes) => made.set(name, bytes));
  return { tensors: plan.outlines.map((outline) => ({ ...outline, data: made.get(outline.name)! })), report };
}
