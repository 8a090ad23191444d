import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { bmpHeaderBytes, bmpSize, decodeBmp, isBmp } from './bmp.ts';

interface Bmp {
  width: number;
  height: number;
  bits: number;
  rows: number[];
  /** Length of the second header, default 40. */
  dib?: number;
  compression?: number;
  masks?: number[];
  palette?: number[];
  colours?: number;
}

function write({ width, height, bits, rows, dib = 40, compression = 0, masks = [], palette = [], colours = 0 }: Bmp) {
  const headers = 14 + Math.max(dib, masks.length > 0 ? 40 + masks.length * 4 : 0);
  const offset = headers + palette.length;
  const bytes = new Uint8Array(offset + rows.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x42, 0x4d]);
  view.setUint32(10, offset, true);
  view.setUint32(14, dib, true);
  if (dib === 12) [width, height, 1, bits].forEach((value, i) => view.setUint16(18 + 2 * i, value, true));
  else {
    view.setInt32(18, width, true);
    view.setInt32(22, height, true);
    view.setUint16(28, bits, true);
    view.setUint32(30, compression, true);
    view.setUint32(46, colours, true);
    masks.forEach((mask, i) => view.setUint32(54 + 4 * i, mask, true));
  }
  bytes.set(palette, headers);
  bytes.set(rows, offset);
  return bytes;
}

const colours = (bytes: Uint8Array) => [...decodeBmp(bytes).data];

describe('rows', () => {
  const rows = [1, 2, 3, 4, 5, 6, 0, 0, 7, 8, 9, 10, 11, 12, 0, 0]; // blue, green, red; padded to 4 bytes

  test('run from bottom to top', () => {
    const bytes = write({ width: 2, height: 2, bits: 24, rows });
    expect(decodeBmp(bytes)).toMatchObject({ width: 2, height: 2, channels: 3 });
    expect(colours(bytes)).toEqual([9, 8, 7, 12, 11, 10, 3, 2, 1, 6, 5, 4]);
    expect(isBmp(bytes)).toBe(true);
  });

  test('run from top to bottom where the height is negative', () => {
    const bytes = write({ width: 2, height: -2, bits: 24, rows });
    expect(bmpSize(bytes.subarray(0, bmpHeaderBytes))).toEqual([2, 2]);
    expect(colours(bytes)).toEqual([3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10]);
  });

  test('have 16-bit sides in the oldest header', () => {
    expect(colours(write({ width: 2, height: 2, bits: 24, rows, dib: 12 })).slice(0, 3)).toEqual([9, 8, 7]);
  });
});

describe('pixels', () => {
  test.each([
    [1, [0b01100000, 0, 0, 0], [0, 1, 1]],
    [4, [0x12, 0x00, 0, 0], [1, 2, 0]],
    [8, [2, 0, 1, 0], [2, 0, 1]],
  ])('of %i bits are indices of a palette', (bits, row, indices) => {
    const palette = [10, 20, 30, 0, 40, 50, 60, 0, 70, 80, 90, 0];
    const count = bits === 1 ? 2 : 3;
    const bytes = write({ width: 3, height: 1, bits, rows: row, palette: palette.slice(0, count * 4), colours: count });
    const rgb = [
      [30, 20, 10],
      [60, 50, 40],
      [90, 80, 70],
    ];
    expect(colours(bytes)).toEqual(indices.flatMap((index) => rgb[index] ?? []));
  });

  test('beyond the palette are black', () => {
    const bytes = write({ width: 1, height: 1, bits: 8, rows: [9, 0, 0, 0], palette: [1, 2, 3, 0], colours: 1 });
    expect(colours(bytes)).toEqual([0, 0, 0]);
  });

  test('of 16 bits are 5-5-5, or as the masks say', () => {
    const rows = [0x1f, 0x7c, 0, 0]; // 0x7c1f
    expect(colours(write({ width: 1, height: 1, bits: 16, rows }))).toEqual([255, 0, 255]);
    const masks = [0xf800, 0x7e0, 0x1f];
    const bytes = write({ width: 1, height: 1, bits: 16, rows, compression: 3, masks });
    expect(colours(bytes)).toEqual([Math.floor((15 * 255) / 31), Math.floor((32 * 255) / 63), 255]);
  });

  test('of 32 bits have alpha only where the header names bits for it', () => {
    const one = { width: 1, height: 1, bits: 32, rows: [1, 2, 3, 4] };
    expect(colours(write(one))).toEqual([3, 2, 1]);
    const masks = [0xff0000, 0xff00, 0xff];
    expect(colours(write({ ...one, compression: 3, masks }))).toEqual([3, 2, 1]);
    const withAlpha = write({ ...one, compression: 3, dib: 108, masks: [...masks, 0xff000000] });
    expect(decodeBmp(withAlpha)).toMatchObject({ channels: 4, data: Uint8Array.from([3, 2, 1, 4]) });
  });
});

describe('refuses', () => {
  const one: Bmp = { width: 1, height: 1, bits: 24, rows: [1, 2, 3, 0] };
  test.each([
    ['run-length encoding', { ...one, bits: 8, compression: 1 }, 'compression 1 is not supported'],
    ['2 bits a pixel', { ...one, bits: 2 }, '2 bits a pixel'],
    ['a size of nothing', { ...one, width: 0 }, '0 x 1 is no size'],
    ['a negative width', { ...one, width: -5 }, '-5 x 1 is no size'],
    ['a size that would fill the memory', { ...one, width: 60_000, height: 60_000 }, 'is no size'],
    ['more rows than there are', { ...one, height: 2 }, 'it ends early: 58 bytes of 62'],
    ['a strange header', { ...one, dib: 41 }, 'its header is none of a BMP file (41 bytes long)'],
    ['no bits for a colour', { ...one, bits: 32, compression: 3, masks: [0xff, 0xff00, 0] }, 'no bits for a colour'],
  ])('%s', (_, bmp, message) => {
    expect(() => decodeBmp(write(bmp))).toThrow(message);
  });

  test('any other bytes without reading past them', () => {
    const valid = write({ width: 2, height: 2, bits: 32, rows: Array.from({ length: 16 }, (_, i) => i) });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255))),
        fc.nat(valid.length),
        (changes, length) => {
          const bytes = valid.slice(0, length);
          for (const [at, value] of changes) if (at < length) bytes[at] = value;
          try {
            const { width, height, channels, data } = decodeBmp(bytes);
            expect(data).toHaveLength(width * height * channels);
            expect(data.length).toBeLessThan(1e9);
          } catch (error) {
            expect(error).not.toBeInstanceOf(RangeError);
          }
        },
      ),
    );
  });
});
