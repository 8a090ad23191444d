import { isSafetensorsDtype, SAFETENSORS_DTYPES, tensorByteLength } from './dtype.ts';
import type { SafetensorsDtype } from './dtype.ts';
import { SafetensorsError } from './error.ts';

export interface TensorToWrite {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** little-endian bytes, or a function that makes them when their turn comes, so that one tensor at a time is in memory */
  readonly data: Uint8Array | (() => Promise<Uint8Array>);
}

/** What a header says of a tensor. */
export type TensorOutline = Omit<TensorToWrite, 'data'>;

export interface PlacedTensor<T> {
  readonly tensor: T;
  /** absolute byte offset in the file */
  readonly offset: number;
  readonly byteLength: number;
}

export interface SafetensorsLayout<T> {
  /** the file's first bytes: eight of length, then JSON padded with spaces to a multiple of 8 */
  readonly header: Uint8Array;
  /** the tensors in the order of the file */
  readonly order: readonly PlacedTensor<T>[];
  /** bytes of the whole file */
  readonly byteLength: number;
}

export interface WriteOptions {
  /** an empty object is written as an empty block, as the reference library does; undefined writes none */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/**
 * Lays a file out in the canonical order: by dtype (U64, I64, F64, F32, U32, I32, BF16, F16, U16, I16, F8, I8, U8,
 * BOOL), then by name in UTF-8 order. Files written from equal tensors have equal bytes, and every tensor is aligned.
 *
 * @throws {SafetensorsError} `DUPLICATE_TENSOR`, `NAME_RESERVED`, `UNKNOWN_DTYPE`, `HEADER_INVALID` (impossible shape),
 *   `HEADER_TOO_LARGE`
 */
export function serializeSafetensors<T extends TensorOutline>(
  tensors: Iterable<T>,
  { metadata }: WriteOptions = {},
): SafetensorsLayout<T> {
  const sorted = Array.from(tensors).toSorted(
    (a, b) => SAFETENSORS_DTYPES.indexOf(a.dtype) - SAFETENSORS_DTYPES.indexOf(b.dtype) || compareUtf8(a.name, b.name),
  );
  const entries = new Map<string, unknown>();
  if (metadata) entries.set('__metadata__', checkMetadata(metadata));

  let end = 0;
  const placed = sorted.map((tensor) => {
    assertWritable(tensor, entries);
    const begin = end;
    end += tensorByteLength(tensor.dtype, tensor.shape, { tensor: tensor.name });
    entries.set(tensor.name, { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [begin, end] });
    return { tensor, begin, byteLength: end - begin };
  });

  const header = encodeHeader(entries);
  const order = placed.map(({ tensor, begin, byteLength }) => ({
    tensor,
    offset: header.byteLength + begin,
    byteLength,
  }));
  return { header, order, byteLength: header.byteLength + end };
}

/** A whole safetensors file in memory, for browsers and for hashes. @throws as `serializeSafetensors`, and `SIZE_MISMATCH` */
export async function encodeSafetensors(tensors: Iterable<TensorToWrite>, options?: WriteOptions): Promise<Uint8Array> {
  const { header, order, byteLength } = serializeSafetensors(tensors, options);
  const file = new Uint8Array(byteLength);
  file.set(header);
  for (const placed of order) file.set(await tensorData(placed), placed.offset);
  return file;
}

/** The bytes of a placed tensor, made now if they are made on demand. @throws {SafetensorsError} `SIZE_MISMATCH` */
export async function tensorData({ tensor, byteLength }: PlacedTensor<TensorToWrite>): Promise<Uint8Array> {
  const data = typeof tensor.data === 'function' ? await tensor.data() : tensor.data;
  if (data.byteLength === byteLength) return data;
  throw new SafetensorsError(
    'SIZE_MISMATCH',
    `tensor "${tensor.name}" comes with ${data.byteLength} bytes, ` +
      `but ${tensor.dtype} [${tensor.shape.join(', ')}] needs ${byteLength}.`,
    'Give data, dtype and shape that fit.',
    { tensor: tensor.name },
  );
}

function assertWritable({ name, dtype }: TensorOutline, entries: ReadonlyMap<string, unknown>): void {
  if (name === '__metadata__') {
    throw new SafetensorsError('NAME_RESERVED', 'a tensor cannot be called "__metadata__".', 'Rename it.', {
      tensor: name,
    });
  }
  if (!isSafetensorsDtype(dtype)) {
    const remedy = `Known are ${SAFETENSORS_DTYPES.join(', ')}.`;
    throw new SafetensorsError('UNKNOWN_DTYPE', `tensor "${name}" has the unknown dtype "${String(dtype)}".`, remedy, {
      tensor: name,
    });
  }
  if (entries.has(name)) {
    throw new SafetensorsError('DUPLICATE_TENSOR', `two tensors are called "${name}".`, 'Rename one.', {
      tensor: name,
    });
  }
}

function checkMetadata(metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== 'string') {
      throw new SafetensorsError(
        'HEADER_INVALID',
        `metadata "${key}" is not a text.`,
        'Turn the value into text first.',
      );
    }
  }
  return metadata;
}

function encodeHeader(entries: ReadonlyMap<string, unknown>): Uint8Array {
  // Not one JSON.stringify of an object: it would move names that look like integers to the front.
  const members = Array.from(entries, ([name, entry]) => `${JSON.stringify(name)}:${JSON.stringify(entry)}`);
  const json = new TextEncoder().encode(`{${members.join(',')}}`);
  const length = Math.ceil(json.byteLength / 8) * 8;
  if (length > 100_000_000) {
    throw new SafetensorsError(
      'HEADER_TOO_LARGE',
      `the header would have ${length} bytes, the format allows 100000000.`,
      'Store fewer tensors or less metadata in one file.',
    );
  }
  const header = new Uint8Array(8 + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, 8);
  return header;
}

/** Order of the UTF-8 bytes. UTF-16 differs from it only in surrogates, which have to come after U+FFFF. */
function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    if (a[i] !== b[i]) return rank(a.charCodeAt(i)) - rank(b.charCodeAt(i));
  }
  return a.length - b.length;
}

function rank(unit: number): number {
  return unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit;
}
