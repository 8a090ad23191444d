import type { ParameterSource } from '@musubi/onnx-graph';
import type { TensorInfo, TensorStore } from '@musubi/safetensors';

import { fromSafetensors } from '@musubi/onnx-graph';

import type { Architecture, ConfigHints, Parameter } from './architecture.ts';

import { ModelError } from './errors.ts';
import { nearest } from './nearest.ts';

/** What taking a checkpoint needs to know of a model. Every {@link Architecture} is one. */
export interface CheckpointModel<Config> extends Pick<Architecture<Config>, 'longName' | 'inferConfig' | 'parameters'> {
  /** The model's name of a tensor by its key in a file. Default: without `model.diffusion_model.` at the beginning. */
  nameOf?(key: string): string;
  /**
   * Says so of files of other models that people have beside it, by the keys as they are in the file.
   *
   * @throws {ModelError} `UNSUPPORTED_MODEL`
   */
  refuseOthers?(keys: ReadonlySet<string>): void;
}

/** A checkpoint whose tensors are known to be exactly those of a model. */
export interface ResolvedWeights<Config> {
  readonly config: Config;
  /** By the model's names, in the order of the model. */
  readonly weights: ReadonlyMap<string, TensorInfo>;
  /**
   * The weights as initializers that point into the checkpoint.
   *
   * @param locate maps a file of the checkpoint to its location relative to the folder of external data
   */
  source(locate: (file: string) => string): ParameterSource;
}

/** Repackaged files have it before their keys. */
const prefix = 'model.diffusion_model.';

const withoutPrefix = (key: string): string => (key.startsWith(prefix) ? key.slice(prefix.length) : key);

/**
 * Takes a checkpoint for a model: strips prefixes, infers the configuration, and checks that names, shapes and dtypes
 * are those of the model, no more and no less.
 *
 * @param store of the checkpoint; only names, shapes and places are read
 * @throws {ModelError} `KEY_MISMATCH` with the list, `DUPLICATE_KEY`, `UNSUPPORTED_DTYPE`, and what `refuseOthers` and
 *   `inferConfig` throw
 */
export function resolveWeights<Config>(
  store: Pick<TensorStore, 'tensors' | 'metadata'>,
  model: CheckpointModel<Config>,
  hints: ConfigHints = {},
): ResolvedWeights<Config> {
  model.refuseOthers?.(new Set(store.tensors.keys()));
  const found = rename(store.tensors, model.nameOf ?? withoutPrefix);
  refuseOwnEightBits(store.metadata, found);
  checkDtypes(found);
  const config = model.inferConfig(found, { metadata: store.metadata, ...hints });
  const parameters = model.parameters(config);
  checkKeys(model, parameters, found);

  const weights = new Map(parameters.flatMap(({ name }) => pair(name, found.get(name))));
  return {
    config,
    weights,
    source: (locate) => (name) => {
      const info = weights.get(name);
      const dtype = info && fromSafetensors(info.dtype);
      if (!info || !dtype) return undefined;
      const external = { location: locate(info.source), offset: info.offset, length: info.byteLength };
      return { dtype, shape: info.shape, external, ...(info.strides ? { strides: info.strides } : {}) };
    },
  };
}

const pair = <T>(name: string, value: T | undefined): [string, T][] => (value === undefined ? [] : [[name, value]]);

function rename(tensors: ReadonlyMap<string, TensorInfo>, nameOf: (key: string) => string): Map<string, TensorInfo> {
  const keys = new Map<string, string>();
  const renamed = new Map<string, TensorInfo>();
  for (const [key, info] of tensors) {
    const name = nameOf(key);
    const other = keys.get(name);
    if (other !== undefined) {
      throw new ModelError(
        'DUPLICATE_KEY',
        `The checkpoint has both "${other}" and "${key}".`,
        'Give a file that has each weight once.',
        { subject: name },
      );
    }
    keys.set(name, key);
    renamed.set(name, info);
  }
  return renamed;
}

/** In the metadata of a file of 8-bit weights that a run made for itself: what it was made of. */
export const eightBitKeyName = 'musubi_eight_bit_key';

function refuseOwnEightBits(
  metadata: Readonly<Record<string, string>>,
  weights: ReadonlyMap<string, TensorInfo>,
): void {
  if (!Object.hasOwn(metadata, eightBitKeyName)) return;
  const tensors = [...weights.values()];
  const option = tensors.some(({ dtype }) => dtype === 'U8') ? 'int8_base' : 'fp8_base';
  throw new ModelError(
    'UNSUPPORTED_DTYPE',
    `${tensors[0]?.source ?? 'The file'} is no checkpoint: a run with ${option} made it for itself, of the model's own file.`,
    `Give the bfloat16, float16 or float32 file that lies beside it or that it was made of; with ${option} a run finds this one again.`,
    { value: option },
  );
}

const supportedDtypes: ReadonlySet<string> = new Set(['F32', 'F16', 'BF16']);
const scaleKey = /(?:\.(?:scale_weight|weight_scale|scale_input|input_scale|comfy_quant)|^scaled_fp8)$/;

function checkDtypes(weights: ReadonlyMap<string, TensorInfo>): void {
  for (const [name, { dtype, source }] of weights) {
    if (dtype.startsWith('F8') || scaleKey.test(name)) {
      throw new ModelError(
        'UNSUPPORTED_DTYPE',
        `${source} is an FP8 checkpoint ("${name}" is ${dtype}), whose rounding cannot be undone.`,
        'Give the bfloat16 or float16 file of the same model; fp8_base and int8_base make 8 bits of it.',
        { subject: name, value: dtype },
      );
    }
    if (!supportedDtypes.has(dtype)) {
      throw new ModelError(
        'UNSUPPORTED_DTYPE',
        `"${name}" in ${source} is ${dtype}; expected BF16, F16 or F32.`,
        'Give the bfloat16, float16 or float32 file of the model.',
        { subject: name, value: dtype },
      );
    }
  }
}

function checkKeys(
  { longName }: { readonly longName: string },
  parameters: readonly Parameter[],
  found: ReadonlyMap<string, TensorInfo>,
): void {
  const expected = new Map(parameters.map((p) => [p.name, p]));
  const missing = parameters.map((p) => p.name).filter((name) => !found.has(name));
  const unexpected = [...found.keys()].filter((name) => !expected.has(name));
  const misshapen = parameters.flatMap(({ name, shape }) => {
    const actual = found.get(name)?.shape;
    if (!actual || actual.join() === shape.join()) return [];
    return [`${name} (found [${actual.join(', ')}], expected [${shape.join(', ')}])`];
  });
  if (missing.length + unexpected.length + misshapen.length === 0) return;

  const similar = unexpected.slice(0, listed).map((name) => {
    const meant = nearest(name, missing);
    return meant === undefined ? name : `${name} (nearest: ${meant})`;
  });
  throw new ModelError(
    'KEY_MISMATCH',
    `The checkpoint's tensors are not those of the ${longName} model its shapes imply.` +
      list('missing', missing) +
      list('unexpected', [...similar, ...unexpected.slice(listed)]) +
      list('of another shape', misshapen) +
      '\n',
    'Give the complete file (or any of its shards) of a supported model.',
    { missing, unexpected, misshapen },
  );
}

/** Names a message shows of each kind; the error's facts have all. */
const listed = 8;

function list(kind: string, names: readonly string[]): string {
  if (names.length === 0) return '';
  const more = names.length > listed ? `, and ${names.length - listed} more` : '';
  return `\n  ${names.length} ${kind}: ${names.slice(0, listed).join(', ')}${more}.`;
}
