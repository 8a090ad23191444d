import type { ByteSource } from '../src/index.ts';
import { bytesSource } from '../src/index.ts';
import { bytes, pickle, record, tensor } from './make-pickle.ts';
import type { Code } from './make-pickle.ts';
import { makeZip } from './make-zip.ts';
import type { FileToZip, ZipShape } from './make-zip.ts';

const ascii = (text: string) => bytes(text);

/** The values 0 to 5 as float32: the storage "0" of most tests. */
export const sixFloats = new Uint8Array(Float32Array.of(0, 1, 2, 3, 4, 5).buffer);

export interface PthShape extends ZipShape {
  readonly folder?: string;
  readonly byteorder?: string | null;
  readonly storages?: Readonly<Record<string, Uint8Array>>;
  /** files behind those of a checkpoint */
  readonly more?: readonly FileToZip[];
}

/** A checkpoint around a finished pickle. */
export function makePth(data: Uint8Array, shape: PthShape = {}): Uint8Array {
  const { folder = 'archive', byteorder = 'little', storages = { '0': sixFloats }, more = [] } = shape;
  const files: FileToZip[] = [
    { name: `${folder}/data.pkl`, data },
    ...(byteorder === null ? [] : [{ name: `${folder}/byteorder`, data: ascii(byteorder) }]),
    ...Object.entries(storages).map(([key, storage]) => ({ name: `${folder}/data/${key}`, data: storage })),
    { name: `${folder}/version`, data: ascii('3\n') },
    ...more,
  ];
  return makeZip(files, shape);
}

/** A checkpoint `{ w: value }`; by default with the tensor `[2, 3]` of `sixFloats`. */
export const pthOf = (value: Code = tensor(), shape: PthShape = {}): Uint8Array =>
  makePth(pickle(record({ w: value })), shape);

export interface CountingSource extends ByteSource {
  /** bytes asked for: in all, and by the largest read */
  readonly asked: { total: number; largest: number };
}

/** A source that keeps account of what is read from it. */
export function countingSource(file: Uint8Array, name = 'x.pth'): CountingSource {
  const source = bytesSource(file, name);
  const asked = { total: 0, largest: 0 };
  return {
    ...source,
    asked,
    read: (offset, length) => {
      asked.total += length;
      asked.largest = Math.max(asked.largest, length);
      return source.read(offset, length);
    },
  };
}
