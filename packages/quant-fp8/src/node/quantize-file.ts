import { resolve } from 'node:path';
import type { TensorInfo, TensorStore } from '@musubi/safetensors';
import { fillSafetensorsFile, openSafetensorsFile } from '@musubi/safetensors/node';
import { Fp8Error } from '../errors.ts';
import { formatOf } from '../formats.ts';
import { groupingOf } from '../grouping.ts';
import { assertWeightDtype } from '../internal/weight-dtype.ts';
import { metadataOf } from '../plan-store.ts';
import type { QuantizationReport } from '../plan.ts';
import { scaleKey } from '../targets.ts';
import { poolOptions, quantizeStore, rangeOf } from './quantize-store.ts';
import type { FileOptions, QuantizeFileOptions } from './quantize-store.ts';
import { runJobs } from './worker-pool.ts';
import type { Job } from './worker-pool.ts';

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
  return await withStore(input, output, (store) => quantizeStore(store, output, options));
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
          return { kind: 'copy', name, from: rangeOf(info), to: places.get(name)!, scaleTo: 0, length } as const;
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
