import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { TensorInfo, TensorStore } from '@musubi/safetensors';
import { fillSafetensorsFile, openSafetensorsFile } from '@musubi/safetensors/node';
import { Fp8Error } from '../errors.ts';
import { formatOf } from '../formats.ts';
import { groupingOf } from '../grouping.ts';
import { assertWeightDtype } from '../internal/weight-dtype.ts';
import { plannedOutlines, planQuantization } from '../plan.ts';
import type { QuantizationReport, QuantizedTensor, QuantizeOptions } from '../plan.ts';
import { hookedBytes, reportOf } from '../quantize-tensors.ts';
import type { MeasuredTensor, TensorHook } from '../quantize-tensors.ts';
import { scaleKey } from '../targets.ts';
import type { Bytes } from './protocol.ts';
import { runJobs } from './worker-pool.ts';
import type { Job } from './worker-pool.ts';

export interface FileOptions {
  /** threads, each on a tensor of its own; default: as many as processors, at most 8 */
  readonly workers?: number;
  /** ends the work; no file is written then */
  readonly signal?: AbortSignal;
}

export interface QuantizeFileOptions extends QuantizeOptions, FileOptions {
  /** sees each tensor first; then whole tensors are in memory, as many as there are threads */
  readonly hook?: TensorHook;
  /** is told of each weight when it is done */
  readonly onWeight?: (weight: QuantizedTensor) => void;
}

/**
 * Quantizes a checkpoint into a new safetensors file, several tensors at once, each a few megabytes at a time. Metadata and
 * all other tensors are copied.
 *
 * @param input one file, its index, or any shard of a set
 * @param output another file; it appears whole or not at all
 * @throws {Fp8Error} as `planQuantization`, and `NOT_FINITE`, `HOOK_RESULT`, `SAME_FILE`, `WORKERS_INVALID`, `READ_FAILED`,
 *   `WRITE_FAILED`
 * @throws {SafetensorsError} what is wrong with the input, or where the output cannot be made
 */
export async function quantizeFile(
  input: string,
  output: string,
  options: QuantizeFileOptions,
): Promise<QuantizationReport> {
  const { hook, onWeight, format = 'e4m3' } = options;
  return await withStore(input, output, async (store) => {
    const plan = planQuantization(store.tensors.values(), options);
    const measured = new Map<string, MeasuredTensor>();
    await fillSafetensorsFile(output, plannedOutlines(plan), metadataOf(store), async ({ path, order }) => {
      const places = new Map(order.map(({ tensor, offset }) => [tensor.name, offset]));
      const copies = plan.others.map(({ name }): Job => {
        const { byteLength: length } = infoOf(store, name);
        const common = { kind: 'copy', name, to: places.get(name)!, length } as const;
        return { task: withBytes(sourceOf(store, name, hook), (from) => ({ ...common, from })), done: () => {} };
      });
      const weights = plan.weights.map(({ name, dtype, shape, grouping, scale }): Job => {
        const to = { codesTo: places.get(name)!, scaleTo: places.get(scale.name)! };
        const common = { kind: 'quantize', name, dtype, format, grouping, ...to } as const;
        return {
          task: withBytes(sourceOf(store, name, hook), (from) => ({ ...common, from })),
          done(sums) {
            const { mode, scaleShape } = grouping;
            const { relativeError = 0, squaredNorm = 0 } = sums ?? {};
            const report = { name, dtype, shape, mode, scaleShape, relativeError };
            measured.set(name, { report, squaredNorm });
            onWeight?.(report);
          },
        };
      });
      await runJobs([...weights, ...copies], { output: path, outputName: resolve(output) }, poolOptions(options));
    });
    const weights = plan.weights.flatMap(({ name }) => measured.get(name) ?? []);
    return reportOf(weights, plan.others.length);
  });
}

/**
 * The way back: a file in which all FP8 weights with a `.scale_weight` are numbers again, in the dtype of their scale.
 *
 * @returns how many weights there were
 * @throws {Fp8Error} `SCALE_MISSING` for FP8 tensors without scale, `NOTHING_MATCHES`, `SHAPE_MISMATCH`,
 *   `UNSUPPORTED_DTYPE`, `SAME_FILE`, `WORKERS_INVALID`, `READ_FAILED`, `WRITE_FAILED`
 * @throws {SafetensorsError} as {@link quantizeFile}
 */
export async function dequantizeFile(input: string, output: string, options: FileOptions = {}): Promise<number> {
  return await withStore(input, output, async (store) => {
    const infos = [...store.tensors.values()];
    const weights = infos.filter(({ dtype }) => formatOf(dtype) !== undefined).map((info) => scaledWeight(store, info));
    if (weights.length === 0) {
      throw new Fp8Error('NOTHING_MATCHES', `${input} has no FP8 weight.`, 'It can be used as it is.', { file: input });
    }
    const consumed = new Set(weights.flatMap(({ name, scale }) => [name, scale.name]));
    const others = infos.filter(({ name }) => !consumed.has(name));
    const outlines = [...others, ...weights].map(({ name, dtype, shape }) => ({ name, dtype, shape }));
    await fillSafetensorsFile(output, outlines, metadataOf(store), async ({ path, order }) => {
      const places = new Map(order.map(({ tensor, offset }) => [tensor.name, offset]));
      const jobs = [
        ...weights.map(({ scale, codes, ...weight }) => {
          const to = places.get(weight.name)!;
          return { kind: 'dequantize', ...weight, codes: rangeOf(codes), scale: rangeOf(scale), to } as const;
        }),
        ...others.map((info) => {
          const { name, byteLength: length } = info;
          return { kind: 'copy', name, from: rangeOf(info), to: places.get(name)!, length } as const;
        }),
      ].map((task): Job => ({ task, done: () => {} }));
      await runJobs(jobs, { output: path, outputName: resolve(output) }, poolOptions(options));
    });
    return weights.length;
  });
}

function scaledWeight(store: TensorStore, codes: TensorInfo) {
  const { name, shape } = codes;
  const scale = store.tensors.get(scaleKey(name));
  if (!scale || scale === codes) {
    throw new Fp8Error(
      'SCALE_MISSING',
      `${name} is ${codes.dtype}, but the file has no ${scaleKey(name)}.`,
      'A weight that was only cast to FP8 has no scale: use a checkpoint that quantization made.',
      { tensor: name },
    );
  }
  assertWeightDtype(scale.dtype, scale.name);
  const format = formatOf(codes.dtype) ?? 'e4m3';
  return { name, shape, dtype: scale.dtype, format, grouping: groupingOf(shape, scale.shape, name), scale, codes };
}

async function withStore<T>(input: string, output: string, use: (store: TensorStore) => Promise<T>): Promise<T> {
  const store = await openSafetensorsFile(input);
  try {
    if ([...store.tensors.values()].some(({ source }) => source === resolve(output))) {
      const remedy = 'Give the result another name.';
      throw new Fp8Error('SAME_FILE', `${output} is the file that is read.`, remedy, { file: output });
    }
    return await use(store);
  } finally {
    await store.close();
  }
}

/** The task now, or once its bytes have passed the hook. */
function withBytes<T>(bytes: Bytes | (() => Promise<Bytes>), make: (bytes: Bytes) => T): T | (() => Promise<T>) {
  return typeof bytes === 'function' ? async () => make(await bytes()) : make(bytes);
}

function sourceOf(store: TensorStore, name: string, hook: TensorHook | undefined): Bytes | (() => Promise<Bytes>) {
  const info = infoOf(store, name);
  if (!hook) return rangeOf(info);
  return async () => {
    const own = await store.read(name);
    const data = await hookedBytes(info, own, hook);
    // The bytes move to the thread; those of the hook stay its own.
    return { data: data === own ? own : data.slice() };
  };
}

const rangeOf = ({ source, offset }: TensorInfo): Bytes => ({ file: source, offset });

function infoOf(store: TensorStore, name: string): TensorInfo {
  const info = store.tensors.get(name);
  if (info) return info;
  throw new Fp8Error('INTERNAL', `internal: ${name} was planned and is not in the file.`, 'Please report it.');
}

/** A file without metadata gets none. */
function metadataOf({ metadata }: TensorStore) {
  return Object.keys(metadata).length === 0 ? {} : { metadata };
}

function poolOptions({ workers = Math.min(8, availableParallelism()), signal }: FileOptions) {
  if (Number.isSafeInteger(workers) && workers >= 1) return { workers, signal };
  throw new Fp8Error('WORKERS_INVALID', `${workers} threads do no work.`, 'Use 1 or more.', { found: workers });
}
