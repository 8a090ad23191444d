import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { TensorInfo, TensorStore } from '@musubi/safetensors';
import { fillSafetensorsFile } from '@musubi/safetensors/node';
import { Fp8Error } from '../errors.ts';
import { hookedBytes } from '../hook.ts';
import type { TensorHook } from '../hook.ts';
import { metadataOf, planStore, reportOfPlan } from '../plan-store.ts';
import type { MeasuredTensor, StoreOptions } from '../plan-store.ts';
import type { QuantizationReport, QuantizedTensor, QuantizeOptions } from '../plan.ts';
import type { Bytes, Task } from './protocol.ts';
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

export interface QuantizeStoreOptions extends QuantizeFileOptions, StoreOptions {
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
  const { onWeight } = options;
  const plan = planStore(store.tensors, options);
  const measured = new Map<string, MeasuredTensor>();
  await fillSafetensorsFile(output, plan.outlines, metadataOf(store, options.metadata), async ({ path, order }) => {
    const places = new Map(order.map(({ tensor, offset }) => [tensor.name, offset]));
    const jobs = plan.works.map(({ work, scale, report }): Job => {
      const { name } = work;
      const [to, scaleTo] = [places.get(name)!, scale === null ? 0 : places.get(scale)!];
      return {
        task: withBytes(sourceOf(store, name, options.hook), (from) => ({ ...work, from, to, scaleTo })),
        done(sums) {
          if (report === null || sums === null) return;
          const { relativeError, squaredNorm } = sums;
          const known = { ...report, relativeError };
          measured.set(name, { report: known, squaredNorm });
          onWeight?.(known);
        },
      };
    });
    await runJobs(jobs, { output: path, outputName: resolve(output) }, poolOptions(options));
  });
  return reportOfPlan(plan, measured);
}

/**
 * Refuses what {@link quantizeStore} refuses before it reads a weight: types, shapes and names.
 *
 * @throws {Fp8Error} `ALREADY_QUANTIZED`, `UNSUPPORTED_DTYPE`, `NOTHING_MATCHES` and others of the plan
 */
export function assertQuantizable(store: TensorStore, options: QuantizeStoreOptions): void {
  planStore(store.tensors, options);
}

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

export function poolOptions({ workers = Math.min(8, availableParallelism()), signal }: FileOptions) {
  if (Number.isSafeInteger(workers) && workers >= 1) return { workers, signal };
  throw new Fp8Error('WORKERS_INVALID', `${workers} threads do no work.`, 'Use 1 or more.', { found: workers });
}
