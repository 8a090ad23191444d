import type { EightBitBase } from '@musubi/config';
import type { MergedAdapter } from '@musubi/lora';
import type { Architecture, ResolvedWeights } from '@musubi/models';
import type { QuantizationReport, QuantizedTensor } from '@musubi/quant-fp8';
import type { TensorInfo, TensorStore } from '@musubi/safetensors';

import { statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { createMerger } from '@musubi/lora';
import { FP8_TARGETS, type Fp8Architecture } from '@musubi/quant-fp8';
import { fp8Source } from '@musubi/quant-fp8/graph';
import { type QuantizeStoreOptions, assertQuantizable, quantizeStore } from '@musubi/quant-fp8/node';
import { fromFloat32, toFloat32 } from '@musubi/safetensors';
import { openSafetensorsFile } from '@musubi/safetensors/node';

import type { Closing } from './open-parts.ts';

import { TrainerError } from '../errors.ts';
import { eightBitKey } from './eight-bit-key.ts';
import { makeWritableFolder, removeFolders } from './make-folder.ts';

/** The weights of a base model where they lie. */
export type StoredBase = Pick<ResolvedWeights<unknown>, 'weights' | 'source'>;

export interface EightBitRequest extends Pick<ResolvedWeights<unknown>, 'weights'> {
  /** The checkpoint as the user wrote its path, and open. */
  readonly path: string;
  readonly checkpoint: TensorStore;
  readonly architecture: Pick<Architecture, 'longName'>;
  /** Adapters to merge into the weights first. */
  readonly merged: readonly MergedAdapter[];
}

export interface EightBitContext {
  readonly closing: Closing;
  readonly logger: (line: string) => void;
  readonly signal: AbortSignal | undefined;
}

/** Where a file says what it was made of. */
const keyName = 'musubi_eight_bit_key';

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
    const report = await quantizeStore(viewOf(request), file, {
      ...plan.options,
      onWeight: progress(weights, logger),
      ...(merged.length > 0 ? { hook: mergingHook(merged) } : {}),
      ...(signal ? { signal } : {}),
    });
    logger(describe(report, (Date.now() - startedAt) / 1000));
    store = await openSafetensorsFile(file);
  }
  const { tensors, close } = store;
  closing.push(close);
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
  assertQuantizable(viewOf(request), plan.options);
  if (request.merged.length > 0) createMerger(request.merged);
  await removeFolders(await prepareFolder(plan.folder, request.weights, setting));
}

interface FilePlan {
  readonly folder: string;
  readonly file: string;
  /** What the file is made of. */
  readonly key: string;
  readonly options: QuantizeStoreOptions;
}

async function planFile(setting: EightBitBase, request: EightBitRequest): Promise<FilePlan> {
  const { path, weights, merged } = request;
  const { method, format, mode, blockSize, cacheDir } = setting;
  const targets = method === 'cast' ? null : targetsOf(request.architecture, setting);
  const key = await eightBitKey({
    setting,
    targets: targets && FP8_TARGETS[targets],
    weights,
    merged: merged.map(({ store, multiplier = 1 }) => ({ multiplier, tensors: store.tensors })),
  });
  const folder = cacheDir ?? dirname(path);
  const stem = basename(path).replace(/(?:\.safetensors\.index)?\.\w+$/, '');
  const metadata = { [keyName]: key };
  return {
    folder,
    file: join(folder, `${stem}.${labelOf(setting)}-${key.slice(0, 12)}.safetensors`),
    key,
    options: { method, targets: targets ?? { include: null, exclude: [] }, format, mode, blockSize, metadata },
  };
}

/** @throws {TrainerError} `OPTION_CONFLICT` for a model without a list of weights */
export function targetsOf({ longName }: Pick<Architecture, 'longName'>, { method }: EightBitBase): Fp8Architecture {
  const known = Object.keys(FP8_TARGETS) as Fp8Architecture[];
  const found = known.find((name) => longName === name || longName.startsWith(`${name}_`));
  if (found) return found;
  const option = method === 'int8' ? 'int8_base' : 'fp8_scaled';
  throw new TrainerError(
    'OPTION_CONFLICT',
    `${option}: there is no list of the weights of ${longName} to quantize.`,
    method === 'int8' ? 'Remove int8_base.' : 'Use fp8_base alone.',
    { option },
  );
}

/** In the name of the file, for the reader. */
function labelOf({ method, format, mode, blockSize }: EightBitBase): string {
  if (method === 'int8') return 'int8';
  return method === 'cast' ? `fp8-${format}` : `fp8-${format}-${mode}${mode === 'block' ? blockSize : ''}`;
}

async function openIfMade({ file, key }: FilePlan): Promise<TensorStore | null> {
  const store = await openSafetensorsFile(file).catch(() => null);
  if (!store || store.metadata[keyName] === key) return store;
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

/** The checkpoint under the names of the model, without its metadata. */
function viewOf({ checkpoint, weights }: EightBitRequest): TensorStore {
  const keyOf = (name: string) => weights.get(name)?.name ?? name;
  return {
    tensors: new Map(Array.from(weights, ([name, info]) => [name, { ...info, name }])),
    metadata: {},
    read: (name) => checkpoint.read(keyOf(name)),
    readFloat32: (name) => checkpoint.readFloat32(keyOf(name)),
    close: async () => {},
  };
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

/** A line each tenth of the weights, for models that take long. */
function progress(weights: ReadonlyMap<string, TensorInfo>, logger: (line: string) => void) {
  let total = 0;
  for (const { byteLength } of weights.values()) total += byteLength;
  let [done, told] = [0, 0];
  return ({ name }: QuantizedTensor) => {
    done += weights.get(name)?.byteLength ?? 0;
    const tenth = Math.floor((10 * done) / total);
    if (total < 4e9 || tenth === told) return;
    told = tenth;
    logger(`  ${10 * tenth} %`);
  };
}

function describe({ weights, others, relativeError }: QuantizationReport, seconds: number): string {
  const rest = others === 0 ? '' : `, ${others} others as they were`;
  return `${weights.length} weights in 8 bits${rest}, relative error ${relativeError.toFixed(4)}, ${seconds.toFixed(1)} s`;
}
