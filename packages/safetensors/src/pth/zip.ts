import { SafetensorsError } from '../error.ts';
import type { SafetensorsErrorCode } from '../error.ts';
import { quote } from '../internal/quote.ts';
import type { ByteSource } from '../source.ts';
import { readExactly } from '../store.ts';

/** A file inside an archive. */
export interface ZipEntry {
  readonly name: string;
  /** absolute offset of its first byte in the archive */
  readonly offset: number;
  /** as it lies there; of a compressed entry the packed size */
  readonly byteLength: number;
  readonly isCompressed: boolean;
}

/** An entry as the central directory has it. */
interface ListedEntry {
  readonly name: string;
  readonly rawName: Uint8Array;
  readonly hasDescriptor: boolean;
  readonly method: number;
  readonly byteLength: number;
  /** unpacked; the same where nothing is compressed */
  readonly size: number;
  readonly headerOffset: number;
}

// Signatures and lengths of the records: PKWARE, "APPNOTE.TXT - .ZIP File Format Specification", 4.3.
const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END64 = 0x06064b50;
const END64_LOCATOR = 0x07064b50;
const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const END_BYTES = 22;
const END64_BYTES = 56;
const LOCATOR_BYTES = 20;
const ZIP64_EXTRA = 1;

/** A field of 32 bits that is in the zip64 extra field instead; the same for 16 bits. */
const ELSEWHERE = 0xffffffff;
const ELSEWHERE_SHORT = 0xffff;

/** The largest checkpoints have a few thousand tensors; each entry costs a read. */
const MAX_ENTRIES = 200_000;
const MAX_DIRECTORY_BYTES = 1 << 26;
const MAX_NAME_BYTES = 1024;

const DAMAGED = 'The file is damaged or was cut off: download or copy it again.';

/**
 * Lists the entries of a zip archive with the place of their bytes. Everything that two readers could understand in two ways
 * is refused: overlapping entries, names that occur twice, headers that contradict the directory.
 *
 * @throws {SafetensorsError} `ZIP_DAMAGED`, `ZIP_ENCRYPTED`
 */
export async function readZip(source: ByteSource): Promise<ReadonlyMap<string, ZipEntry>> {
  const { fail } = failing(source);
  const directory = await findDirectory(source);
  const listed = parseDirectory(
    await readExactly(source, directory.offset, directory.byteLength),
    directory.count,
    source,
  );
  const entries = new Map<string, ZipEntry>();
  let end = 0;
  for (const entry of listed.toSorted((a, b) => a.headerOffset - b.headerOffset)) {
    if (entry.headerOffset < end) throw fail('ZIP_DAMAGED', `the entry ${quote(entry.name)} overlaps the one before.`);
    const offset = await findData(source, entry);
    end = offset + entry.byteLength;
    if (end > directory.offset) {
      throw fail('ZIP_DAMAGED', `the entry ${quote(entry.name)} ends behind the directory, at byte ${end}.`);
    }
    const { name, byteLength, method } = entry;
    entries.set(name, { name, offset, byteLength, isCompressed: method !== 0 });
  }
  return entries;
}

interface Directory {
  readonly offset: number;
  readonly byteLength: number;
  readonly count: number;
}

async function findDirectory(source: ByteSource): Promise<Directory> {
  const { fail } = failing(source);
  const longest = Math.min(source.size, END_BYTES + ELSEWHERE_SHORT);
  const start = source.size - longest;
  const tail = await readExactly(source, start, longest);
  const view = viewOf(tail);
  let at = tail.length - END_BYTES;
  // the record ends the file, but for a comment whose length it has
  while (at >= 0 && !(view.getUint32(at, true) === END && at + END_BYTES + view.getUint16(at + 20, true) === longest)) {
    at--;
  }
  if (at < 0) throw fail('ZIP_DAMAGED', 'the archive has no end record.');

  const plain: Directory = {
    count: view.getUint16(at + 10, true),
    byteLength: view.getUint32(at + 12, true),
    offset: view.getUint32(at + 16, true),
  };
  const disks = view.getUint16(at + 4, true) !== view.getUint16(at + 6, true);
  const split = disks || view.getUint16(at + 8, true) !== plain.count;
  const [directory, end] = await preferZip64(source, plain, start + at);
  if (split) throw fail('ZIP_DAMAGED', 'the archive is one part of several.');
  if (directory.count > MAX_ENTRIES || directory.byteLength > MAX_DIRECTORY_BYTES) {
    throw fail('ZIP_DAMAGED', `the archive claims ${directory.count} entries, at most ${MAX_ENTRIES} are read.`);
  }
  if (directory.offset + directory.byteLength !== end) {
    throw fail('ZIP_DAMAGED', `the directory should end at byte ${end}, where its end record starts.`);
  }
  return directory;
}

/** The directory's place by the zip64 end record, where there is one, and where the first end record starts. */
async function preferZip64(source: ByteSource, plain: Directory, end: number): Promise<[Directory, number]> {
  const { fail } = failing(source);
  const needed = plain.count === ELSEWHERE_SHORT || plain.byteLength === ELSEWHERE || plain.offset === ELSEWHERE;
  const locator = end >= LOCATOR_BYTES ? viewOf(await readExactly(source, end - LOCATOR_BYTES, LOCATOR_BYTES)) : null;
  if (locator?.getUint32(0, true) !== END64_LOCATOR) {
    if (needed) throw fail('ZIP_DAMAGED', 'the archive lacks its zip64 end record.');
    return [plain, end];
  }
  const at = toNumber(locator.getBigUint64(8, true));
  if (at + END64_BYTES > end - LOCATOR_BYTES) throw fail('ZIP_DAMAGED', `the zip64 end record is not at byte ${at}.`);
  const record = viewOf(await readExactly(source, at, END64_BYTES));
  if (record.getUint32(0, true) !== END64 || at + 12 + toNumber(record.getBigUint64(4, true)) !== end - LOCATOR_BYTES) {
    throw fail('ZIP_DAMAGED', `there is no zip64 end record at byte ${at}.`);
  }
  const wide: Directory = {
    count: toNumber(record.getBigUint64(32, true)),
    byteLength: toNumber(record.getBigUint64(40, true)),
    offset: toNumber(record.getBigUint64(48, true)),
  };
  const agree =
    (plain.count === ELSEWHERE_SHORT || plain.count === wide.count) &&
    (plain.byteLength === ELSEWHERE || plain.byteLength === wide.byteLength) &&
    (plain.offset === ELSEWHERE || plain.offset === wide.offset);
  if (!agree) throw fail('ZIP_DAMAGED', 'the two end records of the archive contradict each other.');
  return [wide, at];
}

function parseDirectory(bytes: Uint8Array, count: number, source: ByteSource): ListedEntry[] {
  const { fail } = failing(source);
  const view = viewOf(bytes);
  const entries: ListedEntry[] = [];
  const names = new Set<string>();
  let at = 0;
  while (at < bytes.length) {
    if (at + CENTRAL_BYTES > bytes.length || view.getUint32(at, true) !== CENTRAL) {
      throw fail('ZIP_DAMAGED', `entry ${entries.length} of the directory is damaged.`);
    }
    const nameEnd = at + CENTRAL_BYTES + view.getUint16(at + 28, true);
    const extraEnd = nameEnd + view.getUint16(at + 30, true);
    const end = extraEnd + view.getUint16(at + 32, true);
    if (end > bytes.length) throw fail('ZIP_DAMAGED', `entry ${entries.length} of the directory is cut off.`);
    const rawName = bytes.subarray(at + CENTRAL_BYTES, nameEnd);
    const name = decodeName(rawName);
    if (name === null) throw fail('ZIP_DAMAGED', `entry ${entries.length} of the directory has an unsafe name.`);
    if (names.has(name)) throw fail('ZIP_DAMAGED', `the archive has ${quote(name)} twice.`);
    names.add(name);

    const flags = view.getUint16(at + 8, true);
    const method = view.getUint16(at + 10, true);
    // bit 0: encrypted, bit 6: strongly encrypted, bit 13: the directory is
    if ((flags & 0x2041) !== 0) {
      throw fail('ZIP_ENCRYPTED', `the entry ${quote(name)} is encrypted.`, 'Decrypt the archive first.');
    }
    const packed = view.getUint32(at + 20, true);
    const size = view.getUint32(at + 24, true);
    const headerOffset = view.getUint32(at + 42, true);
    const wide = readZip64(bytes.subarray(nameEnd, extraEnd), [size, packed, headerOffset]);
    if (!wide || (method === 0 && wide[0] !== wide[1])) {
      throw fail('ZIP_DAMAGED', `the entry ${quote(name)} has sizes that contradict each other.`);
    }
    entries.push({
      name,
      rawName,
      hasDescriptor: (flags & 8) !== 0,
      method,
      byteLength: wide[1]!,
      size: wide[0]!,
      headerOffset: wide[2]!,
    });
    at = end;
  }
  if (entries.length === count) return entries;
  throw fail('ZIP_DAMAGED', `the directory has ${entries.length} entries, its end record says ${count}.`);
}

/** Where an entry's bytes begin: behind its local header, which has to say what the directory says. */
async function findData(source: ByteSource, entry: ListedEntry): Promise<number> {
  const { fail } = failing(source);
  const { headerOffset, rawName, byteLength, size } = entry;
  const contradiction = () => fail('ZIP_DAMAGED', `the header of ${quote(entry.name)} contradicts the directory.`);
  if (headerOffset + LOCAL_BYTES + rawName.length > source.size) throw contradiction();
  const header = await readExactly(source, headerOffset, LOCAL_BYTES + rawName.length);
  const view = viewOf(header);
  const nameLength = view.getUint16(26, true);
  const extraLength = view.getUint16(28, true);
  const sameName = header.subarray(LOCAL_BYTES).every((byte, i) => byte === rawName[i]);
  if (view.getUint32(0, true) !== LOCAL || nameLength !== rawName.length || !sameName) throw contradiction();
  if ((view.getUint16(6, true) & 0x2041) !== 0 || view.getUint16(8, true) !== entry.method) throw contradiction();

  const offset = headerOffset + LOCAL_BYTES + nameLength + extraLength;
  if (offset + byteLength > source.size) {
    throw fail('ZIP_DAMAGED', `the entry ${quote(entry.name)} ends outside the file, at byte ${offset + byteLength}.`);
  }
  const sizes = [view.getUint32(22, true), view.getUint32(18, true)];
  const extra = sizes.includes(ELSEWHERE)
    ? await readExactly(source, offset - extraLength, extraLength)
    : new Uint8Array();
  const found = readZip64(extra, sizes);
  // sizes that follow in a data descriptor are 0 in the header
  const isSame =
    found &&
    [size, byteLength].every((expected, i) => found[i] === expected || (found[i] === 0 && entry.hasDescriptor));
  if (!isSame) throw contradiction();
  return offset;
}

/**
 * Demands that all bytes lie in the archive as they are.
 *
 * @throws {SafetensorsError} `ZIP_COMPRESSED`
 */
export function assertStored(entries: ReadonlyMap<string, ZipEntry>, source: ByteSource): void {
  for (const { name, isCompressed } of entries.values()) {
    if (!isCompressed) continue;
    throw failing(source).fail(
      'ZIP_COMPRESSED',
      `the entry ${quote(name)} is compressed; its bytes cannot be used in place.`,
      'PyTorch stores without compression: unpack the archive and pack it again with "zip -0 -r", or save it with torch.save.',
    );
  }
}

/** The fields, with those of the zip64 extra field where they say that they are there; null when it lacks one. */
function readZip64(extra: Uint8Array, fields: readonly number[]): number[] | null {
  if (!fields.includes(ELSEWHERE)) return [...fields];
  const view = viewOf(extra);
  for (let at = 0; at + 4 <= extra.length;) {
    const length = view.getUint16(at + 2, true);
    const end = at + 4 + length;
    if (end > extra.length) return null;
    if (view.getUint16(at, true) === ZIP64_EXTRA) {
      let next = at + 4;
      const values: number[] = [];
      for (const field of fields) {
        if (field !== ELSEWHERE) values.push(field);
        else if (next + 8 > end) return null;
        else {
          values.push(toNumber(view.getBigUint64(next, true)));
          next += 8;
        }
      }
      return values;
    }
    at = end;
  }
  return null;
}

/** UTF-8, or null for what no archive of tensors has: absolute paths, `..`, backslashes, control characters. */
function decodeName(bytes: Uint8Array): string | null {
  if (bytes.length === 0 || bytes.length > MAX_NAME_BYTES) return null;
  let name: string;
  try {
    name = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
  const isUnsafe = /^\/|^[A-Za-z]:|\\|\p{Cc}/u.test(name) || name.split('/').includes('..');
  return isUnsafe ? null : name;
}

/** Beyond 2^53 it is only known to be too large, which is all that the comparisons need. */
const toNumber = (value: bigint): number => Number(value);

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function failing(source: ByteSource) {
  return {
    fail: (code: SafetensorsErrorCode, problem: string, remedy = DAMAGED) =>
      new SafetensorsError(code, problem, remedy, { file: source.name }),
  };
}
