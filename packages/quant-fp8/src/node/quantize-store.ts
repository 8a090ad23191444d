import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { TensorInfo, TensorOutline, TensorStore } from '@musubi/safetensors';
import { fillSafetensorsFile } from '@musubi/safetensors/node';
import { Fp8Error } from '../errors.ts';
import { assertWeightDtype } from '../internal/weight-dtype.ts';
import type { WeightDtype } from '../internal/weight-dtype.ts';
import { planCasts, planInt8 } from '../plan-base.ts';
import type { EightBitMethod } from '../plan-base.ts';
import { plannedOutlines, planQuantization } from '../plan.ts';
import type { QuantizationReport, QuantizedTensor, QuantizeOptions } from '../plan.ts';
import { hookedBytes, reportOf } from '../quantize-tensors.ts';
import type { MeasuredTensor, TensorHook } from '../quantize-tensors.ts';
import type { Bytes, Measured, Task } from './protocol.ts';
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

export interface QuantizeStoreOptions extends QuantizeFileOptions {
  /** default `scaled` */
  readonly method?: EightBitMethod;
  /** write what stays as it is, and the scales, as float32: for devices without 16-bit numbers. Default false */
  readonly wide?: boolean;
  /** of the new file, beside those of the store */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Writes a new file with the weights of a checkpoint that is open, in 8 bits, several tensors at once, each a few megabytes
 * at a time.
 *
 * @param store of safetensors files or of a `.pth` file; names may be others than those in the file
 * @param output another file; it appears whole or not at all
 * @throws as `quantizeFile`
 */
export async function quantizeStore(
  store: TensorStore,
  output: string,
  options: QuantizeStoreOptions,
): Promise<QuantizationReport> {
  const { onWeight, wide = false } = options;
  const plan = planOf(store, options);
  const outlines = plan.outlines.map((outline) =>
    wide && isNarrow(outline) ? { ...outline, dtype: 'F32' as const } : outline,
  );
  const measured = new Map<string, MeasuredTensor>();
  await fillSafetensorsFile(output, outlines, metadataOf(store, options.metadata), async ({ path, order }) => {
    const places = new Map(order.map(({ tensor, offset }) => [tensor.name, offset]));
    const job = (name: string, make: (from: Bytes) => Task, done: (sums: Measured | null) => void): Job => ({
      task: withBytes(sourceOf(store, name, options.hook), make),
      done,
    });
    const weights = plan.weights.map(({ report, task }) =>
      job(
        report.name,
        (from) => task(from, (name) => places.get(name)!),
        (sums) => {
          const { relativeError = 0, squaredNorm = 0 } = sums ?? {};
          const known = { ...report, relativeError };
          measured.set(report.name, { report: known, squaredNorm });
          onWeight?.(known);
        },
      ),
    );
    const others = plan.others.map((outline) => {
      const { name } = outline;
      const { byteLength: length, dtype } = infoOf(store, name);
      const to = places.get(name)!;
      if (!wide || !isNarrow(outline)) {
        return job(
          name,
          (from) => ({ kind: 'copy', name, from, to, length }),
          () => {},
        );
      }
      assertWeightDtype(dtype, name);
      return job(
        name,
        (from) => ({ kind: 'widen', name, dtype, from, to, count: countOf(outline) }),
        () => {},
      );
    });
    await runJobs([...weights, ...others], { output: path, outputName: resolve(output) }, poolOptions(options));
  });
  return reportOf(
    plan.weights.flatMap(({ report }) => measured.get(report.name) ?? []),
    plan.others.length,
  );
}

interface StorePlan {
  /** the tensors of the new file */
  readonly outlines: readonly TensorOutline[];
  readonly others: readonly TensorOutline[];
  readonly weights: readonly {
    readonly report: Omit<QuantizedTensor, 'relativeError'>;
    readonly task: (from: Bytes, place: (name: string) => number) => Task;
  }[];
}

/**
 * Refuses what {@link quantizeStore} refuses before it reads a weight: types, shapes and names.
 *
 * @throws {Fp8Error} `ALREADY_QUANTIZED`, `UNSUPPORTED_DTYPE`, `NOTHING_MATCHES` and others of the plan
 */
export function assertQuantizable(store: TensorStore, options: QuantizeStoreOptions): void {
  planOf(store, options);
}

function planOf({ tensors }: TensorStore, options: QuantizeStoreOptions): StorePlan {
  const { method = 'scaled', format = 'e4m3', wide = false } = options;
  if (method === 'cast') {
    const casts = planCasts(tensors.values(), format);
    return {
      outlines: casts.map(({ codes }) => codes),
      others: [],
      weights: casts.map(({ name, dtype, shape }) => ({
        report: { name, dtype, shape, mode: 'tensor', scaleShape: [] },
        task: (from, place) => ({
          kind: 'cast',
          name,
          dtype,
          format,
          from,
          count: countOf({ shape }),
          to: place(name),
        }),
      })),
    };
  }
  const isInt8 = method === 'int8';
  const plan = isInt8 ? planInt8(tensors.values(), options) : planQuantization(tensors.values(), options);
  return {
    outlines: plannedOutlines(plan),
    others: plan.others,
    weights: plan.weights.map(({ name, dtype, shape, grouping, scale }) => ({
      report: { name, dtype, shape, mode: grouping.mode, scaleShape: scale.shape },
      task: (from, place) => {
        const to = { codesTo: place(name), scaleTo: place(scale.name) };
        if (isInt8) return { kind: 'int8', name, dtype, from, count: countOf({ shape }), ...to };
        const scaleDtype: WeightDtype = wide ? 'F32' : dtype;
        return { kind: 'quantize', name, dtype, format, grouping, scaleDtype, from, ...to };
      },
    })),
  };
}

const isNarrow = ({ dtype }: TensorOutline): boolean => dtype === 'BF16' || dtype === 'F16';

const countOf = ({ shape }: { readonly shape: readonly number[] }): number =>
  shape.reduce((product, size) => product * size, 1);

/** The task now, or once its bytes have been read. */
function withBytes(bytes: Bytes | (() => Promise<Bytes>), make: (bytes: Bytes) => Task): Job['task'] {
  return typeof bytes === 'function' ? async () => make(await bytes()) : make(bytes);
}

/** Where the bytes of a tensor lie; read here where a hook sees them, or where they do not lie in row-major order. */
function sourceOf(store: TensorStore, name: string, hook: TensorHook | undefined): Bytes | (() => Promise<Bytes>) {
  const info = infoOf(store, name);
  if (!hook && !info.strides) return rangeOf(info);
  return async () => {
    const own = await store.read(name);
    const { dtype, shape } = info;
    const data = await hookedBytes({ name, dtype, shape }, own, hook);
    // The bytes move to the thread; those of the hook stay its own.
    return { data: data === own ? own : data.slice() };
  };
}

export const rangeOf = ({ source, offset }: TensorInfo): Bytes => ({ file: source, offset });

function infoOf(store: TensorStore, name: string): TensorInfo {
  const info = store.tensors.get(name);
  if (info) return info;
  throw new Fp8Error('INTERNAL', `internal: ${name} was planned and is not in the file.`, 'Please report it.');
}

/** A file without metadata gets none. */
export function metadataOf({ metadata }: TensorStore, more: Readonly<Record<string, string>> = {}) {
  const all = { ...metadata, ...more };
  return Object.keys(all).length === 0 ? {} : { metadata: all };
}

export function poolOptions({ workers = Math.min(8, availableParallelism()), signal }: FileOptions) {
  if (Number.isSafeInteger(workers) && workers >= 1) return { workers, signal };
  throw new Fp8Error('WORKERS_INVALID', `${workers} threads do no work.`, 'Use 1 or more.', { found: workers });
}
