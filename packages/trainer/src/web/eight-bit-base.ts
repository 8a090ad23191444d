import type { EightBitBase } from '@musubi/config';
import type { TensorStore } from '@musubi/safetensors';

import { quantizeToBlob } from '@musubi/quant-fp8';
import { fp8Source } from '@musubi/quant-fp8/graph';
import { blobSource, openSafetensors } from '@musubi/safetensors';

import type { SampledFile } from '../eight-bit-key.ts';

import {
  type EightBitModel,
  type StoredBase,
  describeQuantization,
  describeWholeRows,
  modelView,
  planEightBitFile,
  quantizationProgress,
} from '../eight-bit-weights.ts';

export interface WebEightBitRequest extends EightBitModel {
  /** By which the configuration names the checkpoint. */
  readonly path: string;
  /** The checkpoint, and open. */
  readonly file: Blob;
  readonly checkpoint: TensorStore;
}

export interface WebEightBitContext {
  readonly logger: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The weights of a base model in 8 bits: the file that Node.js keeps beside a checkpoint, as a Blob that lasts as long as
 * the run. It is made each time, which takes seconds where a run takes minutes, and leaves nothing behind in the browser.
 *
 * @returns null when it is called off
 * @throws {TrainerError} `OPTION_CONFLICT` for a model without a list of weights; what `quantizeToBlob` throws
 */
export async function quantizeBase(
  setting: EightBitBase,
  { path, file, checkpoint, weights, architecture, wide = false }: WebEightBitRequest,
  { logger, signal }: WebEightBitContext,
): Promise<{ readonly content: Blob; readonly stored: StoredBase } | null> {
  const { options } = await planEightBitFile(setting, { weights, architecture, wide }, (_, use) =>
    use(sampledBlob(file)),
  );
  if (setting.cacheDir !== null) logger('fp8_cache_dir has no effect: a page keeps no 8-bit weights.');
  logger('Base weights are brought to 8 bits.');
  const startedAt = performance.now();
  const made = await quantizeToBlob(modelView(checkpoint, weights), {
    ...options,
    onWeight: quantizationProgress(weights, logger),
    ...(signal ? { signal } : {}),
  }).catch((error: unknown) => {
    if (signal?.aborted) return null;
    throw error;
  });
  if (!made) return null;
  const { blob, report } = made;
  logger(describeQuantization(report, (performance.now() - startedAt) / 1000));
  const { tensors } = await openSafetensors(blobSource(blob, path));
  const wholeRows = describeWholeRows(setting, tensors);
  if (wholeRows !== null) logger(wholeRows);
  return { content: blob, stored: { weights: tensors, source: (locate) => fp8Source({ tensors }, locate) } };
}

const sampledBlob = (blob: Blob): SampledFile => ({
  size: blob.size,
  modified: blob instanceof File ? blob.lastModified : null,
  read: async (position, length) => new Uint8Array(await blob.slice(position, position + length).arrayBuffer()),
});
