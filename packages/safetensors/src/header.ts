import { bytesPerElement, isSafetensorsDtype, SAFETENSORS_DTYPES, tensorByteLength } from './dtype.ts';
import type { SafetensorsDtype } from './dtype.ts';
import { SafetensorsError } from './error.ts';
import type { SafetensorsErrorCode } from './error.ts';
import { findDuplicateKey } from './internal/duplicate-key.ts';
import { nearestName } from './internal/nearest.ts';

export interface TensorInfo {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** name of the byte source that holds it; in Node the path of the file */
  readonly source: string;
  /** absolute byte offset in that file */
  readonly offset: number;
  /** from `offset` to the end of the last element */
  readonly byteLength: number;
  /**
   * Distances in elements from an index of each axis to the next, where the elements do not lie in row-major order without
   * gaps, as in a transposed tensor of a .pth file. Whoever reads the file without `read` must follow them.
   */
  readonly strides?: readonly number[];
}

export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: Readonly<Record<string, string>>;
}

const DAMAGED = 'The file is damaged or was written by a faulty tool: download or make it again.';

/**
 * Reads the JSON header and checks that its tensors cover the data exactly: no gap, no overlap, nothing outside.
 *
 * @param bytes the header alone, without the eight bytes of its length
 * @param file `size` in bytes of the whole file, `name` for errors
 * @throws {SafetensorsError} the code of what is wrong, with the tensor named
 */
export function parseHeader(
  bytes: Uint8Array,
  file: { readonly name: string; readonly size: number },
): SafetensorsHeader {
  const fail = (code: SafetensorsErrorCode, problem: string, tensor?: string, remedy = DAMAGED): SafetensorsError =>
    new SafetensorsError(code, problem, remedy, { file: file.name, ...(tensor === undefined ? {} : { tensor }) });

  const root = parseJson(bytes, file.name);
  if (!isObject(root)) throw fail('HEADER_INVALID', 'the header is not a JSON object.');

  const dataStart = 8 + bytes.byteLength;
  const infos: TensorInfo[] = [];
  for (const [name, entry] of Object.entries(root)) {
    if (name !== '__metadata__') infos.push(parseEntry(name, entry, dataStart, file.name));
  }

  const inFileOrder = infos.toSorted((a, b) => a.offset - b.offset || a.byteLength - b.byteLength);
  let end = dataStart;
  for (const { name, offset, byteLength } of inFileOrder) {
    if (offset > end) {
      const code = offset > file.size ? 'OFFSETS_OUT_OF_RANGE' : 'OFFSETS_HOLE';
      throw fail(
        code,
        `tensor "${name}" starts at byte ${offset}, expected ${end}: no tensor owns the bytes between.`,
        name,
      );
    }
    if (offset < end) {
      throw fail(
        'OFFSETS_OVERLAP',
        `tensor "${name}" starts at byte ${offset}, inside the one before, which ends at ${end}.`,
        name,
      );
    }
    end = offset + byteLength;
  }
  if (end > file.size) {
    throw fail(
      'TRUNCATED',
      `the file has ${file.size} bytes, its header describes ${end}: ${end - file.size} are missing.`,
      undefined,
      'The file was cut off: download or copy it again.',
    );
  }
  if (end < file.size) {
    throw fail('OFFSETS_HOLE', `${file.size - end} bytes follow the last tensor, which ends at byte ${end}.`);
  }
  return { tensors: new Map(infos.map((info) => [info.name, info])), metadata: parseMetadata(root, file.name) };
}

function parseJson(bytes: Uint8Array, file: string): unknown {
  let text: string;
  let root: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    root = JSON.parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new SafetensorsError('HEADER_NOT_JSON', `the header is not JSON (${why}).`, DAMAGED, { file, cause });
  }
  const duplicate = findDuplicateKey(text);
  if (duplicate !== null) {
    throw new SafetensorsError('DUPLICATE_KEY', `the header has the key "${duplicate}" twice.`, DAMAGED, {
      file,
      tensor: duplicate,
    });
  }
  return root;
}

function parseEntry(name: string, entry: unknown, dataStart: number, file: string): TensorInfo {
  const where = { file, tensor: name };
  const invalid = (problem: string) =>
    new SafetensorsError('HEADER_INVALID', `tensor "${name}" ${problem}`, DAMAGED, where);

  if (!isObject(entry)) throw invalid('is not described by an object with dtype, shape and data_offsets.');
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== 'string') throw invalid('has no dtype.');
  if (!isSafetensorsDtype(dtype)) {
    const nearest = nearestName(dtype, SAFETENSORS_DTYPES);
    throw new SafetensorsError(
      'UNKNOWN_DTYPE',
      `tensor "${name}" has the unknown dtype "${dtype.slice(0, 40)}".`,
      `Known are ${SAFETENSORS_DTYPES.join(', ')}.`,
      { ...where, ...(nearest === undefined ? {} : { nearest }) },
    );
  }
  if (!Array.isArray(shape) || !shape.every((size): size is number => typeof size === 'number')) {
    throw invalid('has no shape (a list of integers).');
  }
  if (!Array.isArray(offsets) || offsets.length !== 2) throw invalid('has no data_offsets (two integers).');

  const [begin, end] = offsets as unknown[];
  if (!isOffset(begin) || !isOffset(end) || begin > end || !Number.isSafeInteger(dataStart + end)) {
    const found = `[${String(begin)}, ${String(end)}]`;
    throw new SafetensorsError(
      'OFFSETS_OUT_OF_RANGE',
      `tensor "${name}" has the impossible data_offsets ${found}.`,
      DAMAGED,
      where,
    );
  }
  const byteLength = tensorByteLength(dtype, shape, where);
  if (end - begin !== byteLength) {
    throw new SafetensorsError(
      'SIZE_MISMATCH',
      `tensor "${name}" has ${end - begin} bytes, but ${dtype} [${shape.join(', ')}] ` +
        `needs ${byteLength} (${bytesPerElement(dtype)} an element).`,
      DAMAGED,
      where,
    );
  }
  return { name, dtype, shape, source: file, offset: dataStart + begin, byteLength };
}

function parseMetadata(root: Record<string, unknown>, file: string): Record<string, string> {
  const metadata = root['__metadata__'] ?? {};
  if (!isObject(metadata)) {
    throw new SafetensorsError('HEADER_INVALID', '"__metadata__" is not an object.', DAMAGED, { file });
  }
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== 'string') {
      throw new SafetensorsError('HEADER_INVALID', `metadata "${key}" is not a text.`, DAMAGED, { file });
    }
  }
  return metadata as Record<string, string>;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isOffset(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
