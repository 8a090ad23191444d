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
}

/**
 * Merges adapter files into a checkpoint, as `mergeLora` in float32; one weight at a time is in memory, and the output is
 * written whole or not at all.
 *
 * @returns how many weights have changed
 * @throws {LoraError} as `mergeLora`, and `OUTPUT_IS_INPUT`; `SafetensorsError`
 */
export async function mergeLoraFiles({ base, adapters, output, logger = () => {} }: MergeRequest): Promise<number> {
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
    await writeSafetensorsFile(output, merged.tensors, { metadata });
    return merged.merged.length;
  });
}
