import type { TensorToWrite } from '@musubi/safetensors';
import type { Adapter } from './adapter.ts';
import { hashTensors } from './hashes.ts';
import { loraTensors } from './tensors.ts';
import type { LoraDtype } from './tensors.ts';

export interface LoraFile {
  /** copies of the weights, in the order of the file */
  readonly tensors: readonly TensorToWrite[];
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * All that a saved adapter consists of; `writeSafetensorsFile` or `encodeSafetensors` of `@musubi/safetensors` write it.
 *
 * Await it before the weights change again.
 *
 * @param options.metadata what `trainingMetadata` and `modelspecMetadata` give; the two hashes are added
 * @throws {LoraError} `SHA256_UNAVAILABLE`
 */
export async function loraFile(
  adapter: Adapter,
  {
    dtype = 'F32',
    metadata = {},
  }: { readonly dtype?: LoraDtype; readonly metadata?: Readonly<Record<string, string>> } = {},
): Promise<LoraFile> {
  const { tensors, ...hashes } = await hashTensors(loraTensors(adapter, dtype), metadata);
  return { tensors, metadata: { ...metadata, ...hashes } };
}
