import { bytesPerElement } from './dtype.ts';
import { SafetensorsError } from './error.ts';
import { parseHeader } from './header.ts';
import type { TensorInfo } from './header.ts';
import { toFloat32 } from './convert.ts';
import { nearestName } from './internal/nearest.ts';
import { sniff } from './internal/sniff.ts';
import type { ByteSource } from './source.ts';
import { toRowMajor } from './strided.ts';

/** One file, or all shards of a checkpoint, read lazily: opening reads the headers, `read` the bytes of one tensor. */
export interface TensorStore {
  /** by name, in the order of the header */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: Readonly<Record<string, string>>;
  /** the tensor's own bytes, little-endian, in row-major order, in fresh memory */
  read(name: string): Promise<Uint8Array>;
  /** the tensor's values rounded to float32, whatever its dtype, flat in row-major order */
  readFloat32(name: string): Promise<Float32Array>;
  close(): Promise<void>;
}

/** The format's own limit on the JSON header. */
const MAX_HEADER_BYTES = 100_000_000;

/** Elements converted at a time, so that a large bf16 tensor is not held twice. */
const CHUNK_ELEMENTS = 1 << 22;

/**
 * Opens one safetensors file: reads and checks its header, no tensor.
 *
 * @throws {SafetensorsError} the code of what is wrong with the file; the source stays open, close it
 *
 * @example
 * ```ts
 * import { bytesSource, encodeSafetensors, fromFloat32, openSafetensors } from '@musubi/safetensors';
 *
 * const data = fromFloat32(Float32Array.of(1, 2), 'F16');
 * const store = await openSafetensors(bytesSource(await encodeSafetensors([{ name: 'a', dtype: 'F16', shape: [2], data }])));
 * console.log(await store.readFloat32('a')); // Float32Array(2) [ 1, 2 ]
 * ```
 */
export async function openSafetensors(source: ByteSource): Promise<TensorStore> {
  const { tensors, metadata } = parseHeader(await readHeaderBytes(source), source);
  return createStore(tensors, metadata, new Map([[source.name, source]]));
}

/** A store over checked headers; used for one file and for shards. */
export function createStore(
  tensors: ReadonlyMap<string, TensorInfo>,
  metadata: Readonly<Record<string, string>>,
  sources: ReadonlyMap<string, ByteSource>,
): TensorStore {
  const find = (name: string): { info: TensorInfo; source: ByteSource } => {
    const info = tensors.get(name);
    const source = info && sources.get(info.source);
    if (info && source) return { info, source };
    throw notFound(name, tensors, [...sources.keys()]);
  };
  return {
    tensors,
    metadata,
    read: async (name) => {
      const { info, source } = find(name);
      return readRowMajor(source, info);
    },
    readFloat32: async (name) => {
      const { info, source } = find(name);
      return readAsFloat32(source, info);
    },
    close: async () => {
      await Promise.all(Array.from(sources.values(), (source) => source.close()));
    },
  };
}

async function readHeaderBytes(source: ByteSource): Promise<Uint8Array> {
  const file = source.name;
  const start = await readExactly(source, 0, Math.min(source.size, 32));
  const guess = sniff(start);
  const notSafetensors = () =>
    guess &&
    new SafetensorsError(
      'NOT_SAFETENSORS',
      `is not a safetensors file; it looks like ${guess.looksLike}.`,
      guess.remedy,
      {
        file,
        looksLike: guess.looksLike,
      },
    );

  if (start.byteLength < 8) {
    const problem = `the file has only ${source.size} bytes; a safetensors file starts with 8 bytes of header length.`;
    throw notSafetensors() ?? new SafetensorsError('TRUNCATED', problem, 'Download or make it again.', { file });
  }
  const length = Number(new DataView(start.buffer, start.byteOffset).getBigUint64(0, true));
  if (length > MAX_HEADER_BYTES) {
    throw (
      notSafetensors() ??
      new SafetensorsError(
        'HEADER_TOO_LARGE',
        `the header would have ${length} bytes, the format allows ${MAX_HEADER_BYTES}.`,
        'This is no safetensors file, or its first bytes are damaged.',
        { file },
      )
    );
  }
  if (8 + length > source.size) {
    const problem = `the header should have ${length} bytes, the whole file has ${source.size}.`;
    const remedy = 'The file was cut off: download or copy it again.';
    throw notSafetensors() ?? new SafetensorsError('TRUNCATED', problem, remedy, { file });
  }
  return readExactly(source, 8, length);
}

async function readRowMajor(source: ByteSource, info: TensorInfo): Promise<Uint8Array> {
  const bytes = await readExactly(source, info.offset, info.byteLength, info.name);
  return info.strides ? toRowMajor(bytes, info.shape, info.strides, bytesPerElement(info.dtype)) : bytes;
}

async function readAsFloat32(source: ByteSource, info: TensorInfo): Promise<Float32Array> {
  if (info.dtype === 'F32') {
    const bytes = await readRowMajor(source, info);
    const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
    return new Float32Array(aligned.buffer, aligned.byteOffset, bytes.byteLength / 4);
  }
  if (info.strides) return toFloat32(await readRowMajor(source, info), info.dtype);
  const width = bytesPerElement(info.dtype);
  const count = info.byteLength / width;
  const values = new Float32Array(count);
  for (let first = 0; first < count; first += CHUNK_ELEMENTS) {
    const elements = Math.min(CHUNK_ELEMENTS, count - first);
    const bytes = await readExactly(source, info.offset + first * width, elements * width, info.name);
    values.set(toFloat32(bytes, info.dtype), first);
  }
  return values;
}

/** @throws {SafetensorsError} `TRUNCATED` when fewer bytes come */
export async function readExactly(
  source: ByteSource,
  offset: number,
  length: number,
  tensor?: string,
): Promise<Uint8Array> {
  const bytes = await source.read(offset, length);
  if (bytes.byteLength === length) return bytes;
  throw new SafetensorsError(
    'TRUNCATED',
    `${length} bytes were wanted from byte ${offset}, ${bytes.byteLength} came.`,
    'The file became shorter while it was open: do not change files that are in use.',
    { file: source.name, ...(tensor === undefined ? {} : { tensor }) },
  );
}

function notFound(name: string, tensors: ReadonlyMap<string, TensorInfo>, files: readonly string[]): SafetensorsError {
  const nearest = nearestName(name, tensors.keys());
  const where = files.length === 1 ? files[0]! : `${files[0] ?? 'no file'} and its ${files.length - 1} other shards`;
  return new SafetensorsError(
    'TENSOR_NOT_FOUND',
    `has no tensor "${name}" among its ${tensors.size}.`,
    nearest === undefined ? 'Look into `tensors` for the names it has.' : `Did you mean "${nearest}"?`,
    { file: where, tensor: name, ...(nearest === undefined ? {} : { nearest }) },
  );
}
