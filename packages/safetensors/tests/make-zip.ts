import { bytes, littleEndian } from './make-pickle.ts';

/** A file to put into an archive; what is not given is right. */
export interface FileToZip {
  readonly name: string;
  readonly data: Uint8Array;
  readonly flags?: number;
  readonly method?: number;
  readonly extra?: Uint8Array;
  /** in the directory only */
  readonly central?: Partial<EntryFields>;
  /** in the local header only */
  readonly local?: Partial<EntryFields>;
}

interface EntryFields {
  readonly name: string;
  readonly flags: number;
  readonly method: number;
  readonly size: number;
  readonly packed: number;
  readonly offset: number;
}

export interface ZipShape {
  /** sizes and places in zip64 fields, with its end records */
  readonly zip64?: boolean;
  /** sizes behind the data, 0 in the local headers */
  readonly descriptors?: boolean;
  readonly comment?: string;
  /** changes to the end record */
  readonly end?: { readonly count?: number; readonly size?: number; readonly offset?: number };
}

const u16 = (value: number) => littleEndian(value, 2);
const u32 = (value: number) => littleEndian(value, 4);
const u64 = (value: number) => littleEndian(value, 8);
const wide = 0xffffffff;

/** An archive with its files one after another. The checksums are 0: nobody reads them. */
export function makeZip(files: readonly FileToZip[], shape: ZipShape = {}): Uint8Array {
  const { zip64 = false, descriptors = false, comment = '', end = {} } = shape;
  const locals: Uint8Array[] = [];
  const central: Uint8Array[] = [];
  let at = 0;
  for (const file of files) {
    const right: EntryFields = {
      name: file.name,
      flags: (file.flags ?? 0) | (descriptors ? 8 : 0),
      method: file.method ?? 0,
      size: file.data.length,
      packed: file.data.length,
      offset: at,
    };
    const extra = file.extra ?? new Uint8Array();
    const here = { ...right, ...(descriptors ? { size: 0, packed: 0 } : {}), ...file.local };
    const local = bytes(localHeader(here, zip64 && !descriptors, extra), file.data);
    const behind = !descriptors ? [] : [u32(0x08074b50), u32(0), ...[right.packed, right.size].map(zip64 ? u64 : u32)];
    const whole = bytes(local, ...behind);
    locals.push(whole);
    central.push(centralHeader({ ...right, ...file.central }, zip64));
    at += whole.length;
  }
  const directory = bytes(...central);
  const count = end.count ?? files.length;
  const size = end.size ?? directory.length;
  const offset = end.offset ?? at;
  const end64 = [
    bytes(u32(0x06064b50), u64(44), u16(45), u16(45), u32(0), u32(0)),
    bytes(u64(count), u64(count), u64(size), u64(offset)),
    bytes(u32(0x07064b50), u32(0), u64(at + directory.length), u32(1)),
  ];
  const short = zip64
    ? [u16(0xffff), u16(0xffff), u32(wide), u32(wide)]
    : [u16(count), u16(count), u32(size), u32(offset)];
  const record = [u32(0x06054b50), u16(0), u16(0), ...short, u16(comment.length), comment];
  return bytes(...locals, directory, ...(zip64 ? end64 : []), ...record);
}

function localHeader(
  { name, flags, method, size, packed }: EntryFields,
  zip64: boolean,
  extra: Uint8Array,
): Uint8Array {
  const raw = new TextEncoder().encode(name);
  const fields = zip64 ? bytes(u16(1), u16(16), u64(size), u64(packed)) : new Uint8Array();
  const sizes = zip64 ? [u32(wide), u32(wide)] : [u32(packed), u32(size)];
  return bytes(
    u32(0x04034b50),
    bytes(u16(20), u16(flags), u16(method), u32(0), u32(0), ...sizes),
    bytes(u16(raw.length), u16(fields.length + extra.length), raw, fields, extra),
  );
}

function centralHeader({ name, flags, method, size, packed, offset }: EntryFields, zip64: boolean): Uint8Array {
  const raw = new TextEncoder().encode(name);
  const fields = zip64 ? bytes(u16(1), u16(24), u64(size), u64(packed), u64(offset)) : new Uint8Array();
  const places = zip64 ? [u32(wide), u32(wide)] : [u32(packed), u32(size)];
  return bytes(
    u32(0x02014b50),
    bytes(u16(20), u16(20), u16(flags), u16(method), u32(0), u32(0), ...places),
    bytes(u16(raw.length), u16(fields.length), u16(0), u16(0), u16(0), u32(0), u32(zip64 ? wide : offset), raw, fields),
  );
}
