import type { TensorToWrite } from '@musubi/safetensors';
import { writeSafetensorsFile } from '@musubi/safetensors/node';
import { mergeLora } from '../merge.ts';
import { assertOther, withFiles } from './files.ts';

export interface MergeRequest {
  /** checkpoint: a safetensors file, one of its shards, its index, or a PyTorch file */
  readonly base: string;
  readonly adapters: readonly { readonly path: string; readonly multiplier: number }[];
  readonly output: string;
  /** gets lines for the user */
  readonly logger?: (line: string) => void;
  /** ends the work before the next weight; no file is written then */
  readonly signal?: AbortSignal;
}

/**
 * Merges adapter files into a checkpoint, as `mergeLora` in float32; one weight at a time is in memory, and the output is
 * written whole or not at all.
 *
 * @returns how many weights have changed
 * @throws {LoraError} as `mergeLora`, and `OUTPUT_IS_INPUT`; `SafetensorsError`; the reason of `signal`
 */
export async function mergeLoraFiles(request: MergeRequest): Promise<number> {
  const { base, adapters, output, logger = () => {}, signal } = request;
  const inputs = [base, ...adapters.map(({ path }) => path)];
  assertOther('save_merged_model', output, inputs);
  return withFiles(inputs, async ([model, ...stores]) => {
    const merged = mergeLora(
      model!,
      stores.map((store, i) => ({ store, multiplier: adapters[i]!.multiplier })),
    );
    const { unused } = merged;
    if (unused.length > 0)
      logger(`The base has no weight for ${unused.length} modules, e.g. ${unused[0]}; they are left out.`);
    const metadata = Object.keys(merged.metadata).length > 0 ? merged.metadata : undefined;
    await writeSafetensorsFile(output, heeding(signal, merged.tensors), { metadata });
    return merged.merged.length;
  });
}

/** Tensors whose turn does not come once the work is called off. */
const heeding = (signal: AbortSignal | undefined, tensors: readonly TensorToWrite[]): TensorToWrite[] =>
  tensors.map((tensor) => ({
    ...tensor,
    async data() {
      signal?.throwIfAborted();
      return typeof tensor.data === 'function' ? tensor.data() : tensor.data;
    },
  }));
