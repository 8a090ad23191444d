import type { EightBitBase } from '@musubi/config';
import type { Architecture, ResolvedWeights } from '@musubi/models';
import type { QuantizationReport, QuantizedTensor, StoreOptions } from '@musubi/quant-fp8';
import type { TensorInfo, TensorStore } from '@musubi/safetensors';

import { eightBitKeyName } from '@musubi/models';
import { FP8_TARGETS, type Fp8Architecture } from '@musubi/quant-fp8';

import { TrainerError } from './errors.ts';
import { type EightBitContent, type SampledFile, eightBitKey } from './eight-bit-key.ts';

/** The weights of a base model where they lie. */
export type StoredBase = Pick<ResolvedWeights<unknown>, 'weights' | 'source'>;

/** A base model whose weights are to have 8 bits. */
export interface EightBitModel extends Pick<ResolvedWeights<unknown>, 'weights'> {
  readonly architecture: Pick<Architecture, 'longName'>;
  /** Write scales, and what stays as it is, as float32, for devices without 16-bit numbers. Default false. */
  readonly wide?: boolean;
}

/** How the file of 8-bit weights is made. */
export interface EightBitFile {
  /** What it is made of, in hexadecimal. */
  readonly key: string;
  /** Metadata say the key. */
  readonly options: StoreOptions & { readonly metadata: Readonly<Record<string, string>> };
}

/**
 * Names the file of 8-bit weights and says how it is made.
 *
 * @param use as of `eightBitKey`
 * @throws {TrainerError} `OPTION_CONFLICT` for a model without a list of weights
 */
export async function planEightBitFile(
  setting: EightBitBase,
  { weights, architecture, wide = false, merged = [] }: EightBitModel & Partial<Pick<EightBitContent, 'merged'>>,
  use: <T>(source: string, read: (file: SampledFile) => Promise<T>) => Promise<T>,
): Promise<EightBitFile> {
  const { method, format, mode, blockSize } = setting;
  const targets = targetsOf(architecture, setting);
  const key = await eightBitKey({ setting, wide, targets: targets && FP8_TARGETS[targets], weights, merged }, use);
  const metadata = { [eightBitKeyName]: key };
  return { key, options: { method, targets: targets ?? allTargets, format, mode, blockSize, wide, metadata } };
}

const allTargets = { include: null, exclude: [] };

/** As {@link planEightBitFile}, without its key. */
export function storeOptions(setting: EightBitBase, { longName }: Pick<Architecture, 'longName'>): StoreOptions {
  return { ...setting, targets: targetsOf({ longName }, setting) ?? allTargets };
}

/**
 * The list of a model's weights; null where every tensor is cast.
 *
 * @throws {TrainerError} `OPTION_CONFLICT` for a model without a list of weights
 */
function targetsOf({ longName }: Pick<Architecture, 'longName'>, { method }: EightBitBase): Fp8Architecture | null {
  if (method === 'cast') return null;
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

/** The checkpoint under the names of the model, without its metadata. */
export function modelView(checkpoint: TensorStore, weights: ReadonlyMap<string, TensorInfo>): TensorStore {
  const keyOf = (name: string) => weights.get(name)?.name ?? name;
  return {
    tensors: new Map(Array.from(weights, ([name, info]) => [name, { ...info, name }])),
    metadata: {},
    read: (name) => checkpoint.read(keyOf(name)),
    readFloat32: (name) => checkpoint.readFloat32(keyOf(name)),
    close: async () => {},
  };
}

/** A line each tenth of the weights, for models that take long. */
export function quantizationProgress(weights: ReadonlyMap<string, TensorInfo>, logger: (line: string) => void) {
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

export function describeQuantization({ weights, others, relativeError }: QuantizationReport, seconds: number): string {
  const rest = others === 0 ? '' : `, ${others} others as they were`;
  return `${weights.length} weights in 8 bits${rest}, relative error ${relativeError.toFixed(4)}, ${seconds.toFixed(1)} s`;
}

/**
 * Says for how many weights of a file the block size does not divide the length of their rows, and what is done instead,
 * as the original does; null where there are none.
 *
 * @param tensors of the file of 8-bit weights
 */
export function describeWholeRows(
  { method, mode, blockSize }: EightBitBase,
  tensors: ReadonlyMap<string, Pick<TensorInfo, 'shape'>>,
): string | null {
  if (method !== 'scaled' || mode !== 'block') return null;
  const scales = Array.from(tensors).filter(([name]) => name.endsWith('.scale_weight'));
  // [out, 1]; blocks have [out, blocks, 1]
  const rows = scales.filter(([, { shape }]) => shape.length === 2).length;
  if (rows === 0) return null;
  return (
    `fp8_block_size ${blockSize} does not divide the rows of ${rows} of ${scales.length} weights: ` +
    'each of these rows has one scale, as with fp8_quant_mode = "channel".'
  );
}
