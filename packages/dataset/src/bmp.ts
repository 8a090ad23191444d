import type { Size } from './dataset-types.ts';
import type { Pixels } from './pixels.ts';

/** What the header of a BMP file says. */
interface BmpHeader {
  readonly width: number;
  readonly height: number;
  /** Rows are stored from bottom to top. */
  readonly isBottomUp: boolean;
  readonly bits: number;
  /** Where the pixels start, in bytes. */
  readonly offset: number;
  /** Colours of pictures with at most 8 bits a pixel: where they start, bytes of one, how many. */
  readonly palette: { readonly start: number; readonly stride: number; readonly count: number };
  /** Bits of red, green, blue and alpha in a pixel of 16 or 32 bits. */
  readonly masks: readonly number[];
}

/** Bytes of a file that hold all headers and no pixels. */
export const bmpHeaderBytes = 14 + 124;

export function isBmp(bytes: Uint8Array): boolean {
  return bytes[0] === 0x42 && bytes[1] === 0x4d;
}

/** Width and height; the first `bmpHeaderBytes` of the file are enough. */
export function bmpSize(bytes: Uint8Array): Size {
  const { width, height } = readHeader(bytes);
  return [width, height];
}

/**
 * Decodes a BMP file: 1, 4, 8, 16, 24 or 32 bits a pixel, uncompressed. It has alpha only where its header names bits for
 * it, as Pillow reads it.
 *
 * @returns RGB or RGBA
 * @throws {Error} that says what is wrong with the file
 */
export function decodeBmp(bytes: Uint8Array): Pixels {
  const header = readHeader(bytes);
  const { width, height, bits, offset } = header;
  const rowBytes = Math.ceil((width * bits) / 32) * 4;
  if (offset + rowBytes * height > bytes.length) {
    throw new Error(`it ends early: ${bytes.length} bytes of ${offset + rowBytes * height}`);
  }
  const channels = header.masks[3] ? 4 : 3;
  const data = new Uint8Array(width * height * channels);
  const convertRow = bits <= 8 ? paletteRow(bytes, header) : bits === 24 ? colourRow(bytes) : maskedRow(bytes, header);
  for (let y = 0; y < height; y++) {
    const start = offset + (header.isBottomUp ? height - 1 - y : y) * rowBytes;
    convertRow(start, data.subarray(y * width * channels, (y + 1) * width * channels));
  }
  return { width, height, channels, data };
}

/** Writes the row that starts at a byte of the file as samples. */
type ConvertRow = (start: number, row: Uint8Array) => void;

function paletteRow(bytes: Uint8Array, { bits, palette }: BmpHeader): ConvertRow {
  const mask = (1 << bits) - 1;
  return (start, row) => {
    for (let i = 0; i < row.length; i += 3) {
      const bit = (i / 3) * bits;
      const index = ((bytes[start + (bit >> 3)] ?? 0) >> (8 - bits - (bit & 7))) & mask;
      if (index >= palette.count) continue; // a colour that is not there is black
      const colour = palette.start + index * palette.stride;
      for (let c = 0; c < 3; c++) row[i + c] = bytes[colour + 2 - c] ?? 0;
    }
  };
}

function colourRow(bytes: Uint8Array): ConvertRow {
  return (start, row) => {
    for (let i = 0; i < row.length; i += 3) {
      for (let c = 0; c < 3; c++) row[i + c] = bytes[start + i + 2 - c] ?? 0;
    }
  };
}

function maskedRow(bytes: Uint8Array, { bits, masks }: BmpHeader): ConvertRow {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields = masks.filter((mask) => mask !== 0).map((mask) => ({ mask, shift: 31 - Math.clz32(mask & -mask) }));
  const shifted = fields.map(({ mask, shift }) => ({ shift, most: mask >>> shift }));
  return (start, row) => {
    for (let i = 0, at = start; i < row.length; at += bits / 8) {
      const pixel = bits === 16 ? view.getUint16(at, true) : view.getUint32(at, true);
      for (const { shift, most } of shifted) row[i++] = Math.floor((((pixel >>> shift) & most) * 255) / most);
    }
  };
}

// what an uncompressed pixel consists of when the header does not say
const defaultMasks = new Map([
  [16, [0x7c00, 0x3e0, 0x1f, 0]],
  [32, [0xff0000, 0xff00, 0xff, 0]],
]);

function readHeader(bytes: Uint8Array): BmpHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const dib = bytes.length >= 18 ? view.getUint32(14, true) : 0;
  if (![12, 40, 52, 56, 64, 108, 124].includes(dib) || bytes.length < 14 + dib) {
    throw new Error(`its header is none of a BMP file (${dib} bytes long)`);
  }
  const isOld = dib === 12; // of OS/2, with 16-bit sides
  const width = isOld ? view.getUint16(18, true) : view.getInt32(18, true);
  const tall = isOld ? view.getUint16(20, true) : view.getInt32(22, true);
  const bits = view.getUint16(isOld ? 24 : 28, true);
  const compression = isOld ? 0 : view.getUint32(30, true);
  const height = Math.abs(tall);
  if (width < 1 || height < 1 || width * height > mostPixels) {
    throw new Error(`${width} x ${height} is no size of a picture`);
  }
  const hasMasks = compression === 3;
  if (![1, 4, 8, 16, 24, 32].includes(bits) || (compression !== 0 && !(hasMasks && (bits === 16 || bits === 32)))) {
    throw new Error(`a BMP with ${bits} bits a pixel and compression ${compression} is not supported`);
  }
  const colours = isOld ? 0 : view.getUint32(46, true);
  const start = 14 + dib + (hasMasks && dib === 40 ? 12 : 0);
  return {
    width,
    height,
    isBottomUp: tall > 0,
    bits,
    offset: view.getUint32(10, true),
    palette: { start, stride: isOld ? 3 : 4, count: Math.min(colours || 2 ** bits, 2 ** bits) },
    masks: hasMasks ? readMasks(view, dib) : (defaultMasks.get(bits) ?? []),
  };
}

/** Red, green, blue and (from a header of 56 bytes on) alpha. */
function readMasks(view: DataView, dib: number): number[] {
  if (view.byteLength < 14 + Math.max(dib, 52)) throw new Error('its header ends early');
  const masks = [54, 58, 62, 66].map((at) => (at < 66 || dib >= 56 ? view.getUint32(at, true) : 0));
  if (masks.slice(0, 3).some((mask) => mask === 0)) throw new Error('its header names no bits for a colour');
  return masks;
}

/** Larger pictures are refused, as Pillow does: more likely an attack than a photograph. */
export const mostPixels = 178_956_970;
