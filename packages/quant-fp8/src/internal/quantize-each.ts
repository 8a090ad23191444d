import { bytesPerElement } from '@musubi/safetensors';
import type { TensorStore } from '@musubi/safetensors';
import { hookedBytes } from '../hook.ts';
import type { TensorHook } from '../hook.ts';
import { reportOfPlan } from '../plan-store.ts';
import type { MeasuredTensor, StorePlan } from '../plan-store.ts';
import type { QuantizationReport, QuantizedTensor } from '../plan.ts';
import { doWork } from './work.ts';
import type { WriteBytes } from './stream.ts';

export interface QuantizeEachOptions {
  /** sees each tensor first */
  readonly hook?: TensorHook;
  /** ends the work before the next tensor */
  readonly signal?: AbortSignal;
  /** is told of each weight when it is done */
  readonly onWeight?: (weight: QuantizedTensor) => void;
}

/**
 * Quantizes a checkpoint one tensor after another, in memory.
 *
 * @param emit gets each tensor of the new file, as bytes that are its own
 */
export async function quantizeEach(
  store: Pick<TensorStore, 'tensors' | 'read'>,
  plan: StorePlan,
  { hook, signal, onWeight }: QuantizeEachOptions,
  emit: (name: string, bytes: Uint8Array) => void,
): Promise<QuantizationReport> {
  const lengths = new Map(
    plan.outlines.map(({ name, dtype, shape }) => [name, shape.reduce((a, b) => a * b, bytesPerElement(dtype))]),
  );
  const measured = new Map<string, MeasuredTensor>();
  for (const { work, scale, report } of plan.works) {
    signal?.throwIfAborted();
    const { name } = work;
    const { dtype, shape } = store.tensors.get(name)!;
    const data = await hookedBytes({ name, dtype, shape }, await store.read(name), hook);
    if (work.kind === 'copy') {
      emit(name, data);
      continue;
    }
    const [codes, scales] = [filled(lengths.get(name)), filled(scale === null ? 0 : lengths.get(scale))];
    const sums = doWork(work, {
      read: (into, first) => into.set(data.subarray(first, first + into.byteLength)),
      write: codes.write,
      writeScale: scales.write,
    });
    emit(name, codes.bytes);
    if (scale !== null) emit(scale, scales.bytes);
    if (report === null || sums === null) continue;
    const known = { ...report, relativeError: sums.relativeError };
    measured.set(name, { report: known, squaredNorm: sums.squaredNorm });
    onWeight?.(known);
  }
  return reportOfPlan(plan, measured);
}

/** Bytes that are written one after another. */
function filled(length = 0): { readonly bytes: Uint8Array; readonly write: WriteBytes } {
  const bytes = new Uint8Array(length);
  let written = 0;
  return {
    bytes,
    write(piece) {
      bytes.set(piece, written);
      written += piece.byteLength;
    },
  };
}
