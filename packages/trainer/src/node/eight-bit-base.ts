import type { EightBitBase } from '@musubi/config';
import type { MergedAdapter } from '@musubi/lora';
import type { TensorInfo, TensorStore } from '@musubi/safetensors';

import { open, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { createMerger } from '@musubi/lora';
import { eightBitKeyName } from '@musubi/models';
import { fp8Source } from '@musubi/quant-fp8/graph';
import { assertQuantizable, quantizeStore } from '@musubi/quant-fp8/node';
import { fromFloat32, toFloat32 } from '@musubi/safetensors';
import { openSafetensorsFile } from '@musubi/safetensors/node';

import type { Closing } from './open-parts.ts';

import { TrainerError } from '../errors.ts';
import type { SampledFile } from '../eight-bit-key.ts';
import {
  type EightBitFile,
  type EightBitModel,
  type StoredBase,
  describeQuantization,
  describeWholeRows,
  modelView,
  planEightBitFile,
  quantizationProgress,
} from '../eight-bit-weights.ts';
import { makeWritableFolder, removeFolders } from './make-folder.ts';

export interface EightBitRequest extends EightBitModel {
  /** The checkpoint as the user wrote its path, and open. */
  readonly path: string;
  readonly checkpoint: TensorStore;
  /** Adapters to merge into the weights first. */
  readonly merged: readonly MergedAdapter[];
}

export interface EightBitContext {
  readonly closing: Closing;
  readonly logger: (line: string) => void;
  readonly signal: AbortSignal | undefined;
}

/**
 * The weights of a base model in 8 bits, in a file of their own beside the checkpoint (or in `--fp8_cache_dir`): made weight
 * by weight when it is not there yet, else taken up again. The file appears whole or not at all.
 *
 * @throws {TrainerError} `OPTION_CONFLICT` for a model without a list of weights, `OUTPUT_UNWRITABLE`, and what
 *   `quantizeStore` and `createMerger` throw
 */
export async function openEightBitBase(
  setting: EightBitBase,
  request: EightBitRequest,
  { closing, logger, signal }: EightBitContext,
): Promise<StoredBase> {
  const { weights, merged } = request;
  const plan = await planFile(setting, request);
  const { file } = plan;
  let store = await openIfMade(plan);
  if (store) logger(`8-bit base weights: ${file}`);
  else {
    await prepareFolder(plan.folder, weights, setting);
    logger(`8-bit base weights are written to ${file}; the next run finds them there.`);
    const startedAt = Date.now();
    const report = await quantizeStore(modelView(request.checkpoint, weights), file, {
      ...plan.options,
      onWeight: quantizationProgress(weights, logger),
      ...(merged.length > 0 ? { hook: mergingHook(merged) } : {}),
      ...(signal ? { signal } : {}),
    });
    logger(describeQuantization(report, (Date.now() - startedAt) / 1000));
    store = await openSafetensorsFile(file);
  }
  const { tensors, close } = store;
  closing.push(close);
  const wholeRows = describeWholeRows(setting, tensors);
  if (wholeRows !== null) logger(wholeRows);
  return { weights: tensors, source: (locate) => fp8Source({ tensors }, locate) };
}

/**
 * Finds what would keep {@link openEightBitBase} from making its file: the weights, the adapters to merge, the folder. No
 * weight is read and nothing is left on the disk.
 *
 * @throws as `openEightBitBase`
 */
export async function checkEightBitBase(setting: EightBitBase, request: EightBitRequest): Promise<void> {
  const plan = await planFile(setting, request);
  const store = await openIfMade(plan);
  if (store) return store.close();
  assertQuantizable(modelView(request.checkpoint, request.weights), plan.options);
  if (request.merged.length > 0) createMerger(request.merged);
  await removeFolders(await prepareFolder(plan.folder, request.weights, setting));
}

interface FilePlan extends EightBitFile {
  readonly folder: string;
  readonly file: string;
}

async function planFile(setting: EightBitBase, request: EightBitRequest): Promise<FilePlan> {
  const { path, weights, architecture, wide = false } = request;
  const merged = request.merged.map(({ store, multiplier = 1 }) => ({ multiplier, tensors: store.tensors }));
  const plan = await planEightBitFile(setting, { weights, architecture, wide, merged }, sampleFile);
  const folder = setting.cacheDir ?? dirname(path);
  const stem = basename(path).replace(/(?:\.safetensors\.index)?\.\w+$/, '');
  return { ...plan, folder, file: join(folder, `${stem}.${labelOf(setting)}-${plan.key.slice(0, 12)}.safetensors`) };
}

async function sampleFile<T>(path: string, use: (file: SampledFile) => Promise<T>): Promise<T> {
  const file = await open(path, 'r');
  try {
    const { size, mtimeMs } = await file.stat();
    return await use({
      size,
      modified: Math.floor(mtimeMs),
      async read(position, length) {
        const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(length), position });
        return buffer.subarray(0, bytesRead);
      },
    });
  } finally {
    await file.close();
  }
}

/** In the name of the file, for the reader. */
function labelOf({ method, format, mode, blockSize }: EightBitBase): string {
  if (method === 'int8') return 'int8';
  return method === 'cast' ? `fp8-${format}` : `fp8-${format}-${mode}${mode === 'block' ? blockSize : ''}`;
}

async function openIfMade({ file, key }: FilePlan): Promise<TensorStore | null> {
  const store = await openSafetensorsFile(file).catch(() => null);
  if (!store || store.metadata[eightBitKeyName] === key) return store;
  await store.close();
  return null;
}

/**
 * Makes the folder, and says now when nothing can be written there or the disk is too small.
 *
 * @returns the folders made for it, the outermost first
 */
async function prepareFolder(
  folder: string,
  weights: ReadonlyMap<string, TensorInfo>,
  { cacheDir }: EightBitBase,
): Promise<readonly string[]> {
  const what = `${cacheDir === null ? 'The folder of the checkpoint' : 'The folder of 8-bit weights'}, "${folder}",`;
  const made = await makeWritableFolder(folder, what, 'fp8_cache_dir');
  const { bavail, bsize } = await statfs(folder);
  let needed = 0;
  for (const { shape } of weights.values()) needed += shape.reduce((product, size) => product * size, 1);
  if (bavail * bsize >= needed) return made;
  await removeFolders(made);
  const [free, all] = [bavail * bsize, needed].map((bytes) => (bytes / 1e9).toFixed(1));
  const problem = `8-bit base weights need ${all} GB, and the disk of "${folder}" has ${free} GB free.`;
  throw new TrainerError('OUTPUT_UNWRITABLE', problem, 'Choose another fp8_cache_dir.', {
    file: folder,
    option: 'fp8_cache_dir',
  });
}

/** `--base_weights` become part of the weights before these are quantized, rounded once to the type of the checkpoint. */
function mergingHook(adapters: readonly MergedAdapter[]) {
  const merger = createMerger(adapters);
  return async ({
    name,
    dtype,
    shape,
    data,
  }: {
    name: string;
    dtype: string;
    shape: readonly number[];
    data: Uint8Array;
  }) => {
    const type = merger.dtypeOf(name, dtype as TensorInfo['dtype']);
    if (type === null) return undefined;
    const merged = await merger.merge(name, shape, type, toFloat32(data, type));
    return merged ? fromFloat32(merged.values, type) : undefined;
  };
}
