import type { TrainConfig } from '@musubi/config';
import type { Architecture, ResolvedWeights } from '@musubi/models';
import type { ProductDtype } from '@musubi/onnx-graph';

import { resolveWeights } from '@musubi/models';
import { blobSource, openSafetensors } from '@musubi/safetensors';

import { type StoredBase } from '../eight-bit-weights.ts';
import { type LowerEightBitOptions, lowerEightBit } from '../lower-eight-bit.ts';
import { type LowerWeights } from '../training-model.ts';
import { withFile } from '../with-file.ts';
import { type WebEightBitContext, quantizeBase } from './eight-bit-base.ts';
import { type WebDevice } from './inspect-device.ts';
import { float16Weights } from './product-weights.ts';
import { assertFitsWasm } from './wasm-memory.ts';
import { widenCheckpoint } from './widen-checkpoint.ts';

/** A base model, and its weights as a session in a browser takes them. */
export interface WebBase<Config> {
  readonly model: ResolvedWeights<Config>;
  readonly stored: StoredBase;
  /**
   * Gives away the file that `stored` is about, once: after a session has read it, nobody should keep it, as browsers hold
   * gigabytes of Blobs in memory before they turn to the disk.
   */
  readonly takeContent: () => Blob;
  /** What graphs do about the weights; undefined where nothing. */
  readonly lower: LowerWeights | undefined;
}

export interface WebBaseRequest<Config> {
  readonly file: Blob;
  readonly architecture: Architecture<Config>;
  /** What shapes cannot tell, where it is given. */
  readonly stated: Readonly<Record<string, unknown>> | null;
  readonly device: WebDevice;
  /** Number type of products. */
  readonly products: ProductDtype;
}

/**
 * Opens the checkpoint of a page. Its weights are read where they lie, except that they get 8 bits where the configuration
 * says so, and that those of 16 bits become float32 where the device does not know them.
 *
 * @returns null when it is called off
 * @throws {TrainerError} `FILE_UNUSABLE`, also where WebAssembly cannot hold the weights; what `quantizeBase` throws
 */
export async function openBase<Config>(
  { dit, task, eightBitBase }: TrainConfig,
  { file, architecture, stated, products, device: { provider, unknown } }: WebBaseRequest<Config>,
  context: WebEightBitContext,
): Promise<WebBase<Config> | null> {
  const given = { task, ...(stated ? { modelConfig: stated } : {}) };
  const resolve = async (blob: Blob) => {
    const checkpoint = await openSafetensors(blobSource(blob, dit));
    return { checkpoint, model: resolveWeights(checkpoint, architecture, given) };
  };
  const { checkpoint, model } = await withFile('dit', dit, () => resolve(file));
  const { weights } = model;
  if (provider === 'wasm') assertFitsWasm(eightBitBase, { path: dit, weights, architecture }, unknown);
  if (eightBitBase) {
    const request = { path: dit, file, checkpoint, weights, architecture, wide: unknown.size > 0 };
    const made = await withFile('dit', dit, () => quantizeBase(eightBitBase, request, context));
    if (!made) return null;
    const { stored, content } = made;
    return {
      model,
      stored,
      takeContent: once(content),
      lower: lowerEightBit(eightBitBase.method, eightBitForm({ provider, unknown })),
    };
  }
  const widened = await widenCheckpoint(checkpoint, unknown, float16Weights(products, architecture, model));
  const stored = widened ? (await resolve(widened)).model : model;
  return { model, stored, takeContent: once(widened ?? file), lower: undefined };
}

/** Packed weights, with which the 8-bit product is fast, would be a copy of them in the 4 GiB of WebAssembly. */
const eightBitForm = ({ provider, unknown }: WebDevice): LowerEightBitOptions => ({
  provider,
  forward: 'dequantize',
  // bits of 8-bit floats are moved as integers of 16 bits, which a build without bfloat16 lacks too
  ...(unknown.has('BF16') ? { codes: 'table' } : {}),
});

function once(content: Blob): () => Blob {
  let kept: Blob | null = content;
  return () => {
    const given = kept ?? new Blob();
    kept = null;
    return given;
  };
}
