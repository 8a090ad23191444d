import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { deflateSync } from 'node:zlib';

import sharp from 'sharp';
import { describe, expect, test } from 'vitest';

import { decodePicture } from '../src/node/decode-picture.ts';
import { type PngOptions, writePng } from './png.ts';

const noise = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 97 + (i >> 3) * 31) % 256);
const rgb = (width: number, height: number) =>
  sharp(noise(width * height * 3), { raw: { width, height, channels: 3 } });

async function decodePng(options: Omit<PngOptions, 'width' | 'height'>) {
  return decodePicture(writePng({ width: 5, height: 3, ...options }));
}

/** Picks bytes out of every group of `size`. */
const pick = (bytes: Uint8Array, size: number, places: number[]) =>
  Array.from({ length: bytes.length / size }, (_, i) => places.map((at) => bytes[i * size + at] ?? 0)).flat();

describe('PNG', () => {
  const pixels = 5 * 3;

  test('with 16 bits a colour keeps the upper half', async () => {
    const rows = noise(pixels * 6);
    expect(await decodePng({ depth: 16, colourType: 2, rows })).toMatchObject({
      width: 5,
      height: 3,
      channels: 3,
      data: Uint8Array.from(pick(rows, 6, [0, 2, 4])),
    });
    const withAlpha = noise(pixels * 8);
    const decoded = await decodePng({ depth: 16, colourType: 6, rows: withAlpha });
    expect(decoded).toMatchObject({ channels: 4, data: Uint8Array.from(pick(withAlpha, 8, [0, 2, 4, 6])) });
  });

  test('with 16-bit grey is cut off at 255', async () => {
    const rows = Uint8Array.from({ length: pixels * 2 }, (_, i) => (i % 2 === 0 ? (i % 3 === 0 ? 1 : 0) : i * 5));
    const { channels, data } = await decodePng({ depth: 16, colourType: 0, rows });
    expect(channels).toBe(3);
    const expected = Array.from({ length: pixels }, (_, i) =>
      Math.min(255, (rows[2 * i] ?? 0) * 256 + (rows[2 * i + 1] ?? 0)),
    );
    expect([...data]).toEqual(expected.flatMap((value) => [value, value, value]));
  });

  test('stored interlaced is the same picture', async () => {
    const image = await rgb(21, 13);
    const interlaced = await image.clone().png({ progressive: true }).toBuffer();
    expect(interlaced[28]).toBe(1);
    expect((await decodePicture(interlaced)).data).toEqual(new Uint8Array(noise(21 * 13 * 3)));
  });

  test('with grey and alpha keeps alpha only at 16 bits, as Pillow reads it', async () => {
    const grey = noise(pixels * 2);
    const eight = await decodePng({ depth: 8, colourType: 4, rows: grey });
    expect(eight).toMatchObject({ channels: 3, data: Uint8Array.from(pick(grey, 2, [0, 0, 0])) });
    const rows = noise(pixels * 4);
    const sixteen = await decodePng({ depth: 16, colourType: 4, rows });
    expect(sixteen).toMatchObject({ channels: 4, data: Uint8Array.from(pick(rows, 4, [0, 0, 0, 2])) });
  });

  test('loses transparent colours', async () => {
    const rows = noise(pixels * 3);
    const tRNS = Uint8Array.from([0, rows[0] ?? 0, 0, rows[1] ?? 0, 0, rows[2] ?? 0]);
    expect(await decodePng({ depth: 8, colourType: 2, rows, chunks: { tRNS } })).toMatchObject({
      channels: 3,
      data: rows,
    });
  });

  test('with a palette loses its transparency', async () => {
    const rows = Uint8Array.from({ length: pixels }, (_, i) => i % 4);
    const chunks = { PLTE: noise(12), tRNS: Uint8Array.from([0, 50, 100, 255]) };
    const { channels, data } = await decodePng({ depth: 8, colourType: 3, rows, chunks });
    expect(channels).toBe(3);
    expect([...data]).toEqual([...rows].flatMap((index) => [...noise(12).subarray(index * 3, index * 3 + 3)]));
  });

  test('ignores profiles and gamma', async () => {
    const { icc } = await sharp(await rgb(2, 2).withIccProfile('p3').png().toBuffer()).metadata();
    if (!icc) throw new Error('no profile');
    const rows = noise(pixels * 3);
    const iCCP = Buffer.concat([Buffer.from('p3\0\0', 'latin1'), deflateSync(icc)]);
    const gAMA = Uint8Array.from([0, 1, 0x86, 0xa0]);
    for (const chunks of [{ iCCP }, { gAMA }]) {
      expect((await decodePng({ depth: 8, colourType: 2, rows, chunks })).data).toEqual(rows);
    }
  });
});

describe('JPEG', () => {
  test('in CMYK is converted without a profile', async () => {
    // 16 x 16, two colours, written by Pillow, which reads (51, 207, 152) and (155, 82, 0)
    const file = fileURLToPath(new URL('pictures/cmyk_16x16.jpg', import.meta.url));
    const { channels, data } = await decodePicture(await readFile(file));
    expect(channels).toBe(3);
    expect([...data.subarray(0, 3)]).toEqual([51, 207, 152]);
    expect([...data.subarray(45, 48)]).toEqual([155, 82, 0]);
  });

  test('ignores its profile', async () => {
    const jpeg = await rgb(16, 8).jpeg().toBuffer();
    const { icc } = await sharp(await rgb(2, 2).withIccProfile('p3').png().toBuffer()).metadata();
    if (!icc) throw new Error('no profile');
    const segment = Buffer.concat([
      Buffer.from([0xff, 0xe2, 0, 0]),
      Buffer.from('ICC_PROFILE\0\x01\x01', 'latin1'),
      icc,
    ]);
    segment.writeUInt16BE(segment.length - 2, 2);
    const profiled = Buffer.concat([jpeg.subarray(0, 2), segment, jpeg.subarray(2)]);
    const { data } = await decodePicture(jpeg);
    expect((await decodePicture(profiled)).data).toEqual(data);
    expect(new Uint8Array(await sharp(profiled).raw().toBuffer())).not.toEqual(data); // it would change something
  });

  test('in grey becomes RGB', async () => {
    const grey = await rgb(16, 8).greyscale().jpeg().toBuffer();
    const { channels, data } = await decodePicture(grey);
    expect(channels).toBe(3);
    expect(pick(data, 3, [0])).toEqual(pick(data, 3, [1]));
  });

  test('is not turned as its camera notes', async () => {
    const turned = await rgb(16, 8).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    expect(await decodePicture(turned)).toMatchObject({ width: 16, height: 8 });
  });

  test('is decoded where a few bytes are out of place, as Pillow does', async () => {
    const jpeg = await rgb(16, 8).jpeg().toBuffer();
    const at = jpeg.indexOf(Buffer.from([0xff, 0xda]));
    const odd = Buffer.concat([jpeg.subarray(0, at), Buffer.from([1, 2, 3]), jpeg.subarray(at)]);
    expect((await decodePicture(odd)).data).toEqual((await decodePicture(jpeg)).data);
  });
});

test.each([3, 4] as const)('WebP with %i channels is kept', async (channels) => {
  const data = noise(6 * 4 * channels);
  const image = sharp(data, { raw: { width: 6, height: 4, channels } });
  const webp = await image.webp({ lossless: true, exact: true }).toBuffer();
  expect(await decodePicture(webp)).toMatchObject({ width: 6, height: 4, channels, data });
});

test('WebP with several frames gives the first', async () => {
  const data = noise(6 * 8 * 3);
  const frames = sharp(data, { raw: { width: 6, height: 8, channels: 3, pageHeight: 4 } });
  const webp = await frames.webp({ lossless: true, delay: [50, 50] }).toBuffer();
  expect((await sharp(webp).metadata()).pages).toBe(2);
  expect(await decodePicture(webp)).toMatchObject({ width: 6, height: 4, data: data.slice(0, 6 * 4 * 3) });
});

test.each([3, 4] as const)('AVIF with %i channels is kept', async (channels) => {
  const data = new Uint8Array(16 * 16 * channels).fill(128);
  const image = sharp(data, { raw: { width: 16, height: 16, channels } });
  const decoded = await decodePicture(await image.avif({ quality: 90, chromaSubsampling: '4:4:4' }).toBuffer());
  expect(decoded).toMatchObject({ width: 16, height: 16, channels });
  expect(decoded.data).toBeAllClose(data, { atol: 2 }); // a lossy format
});

describe('refuses', () => {
  test.each(['png', 'jpeg', 'webp', 'avif'] as const)('a %s file that ends early', async (format) => {
    const bytes = await rgb(64, 64).toFormat(format).toBuffer();
    for (const part of [0.3, 0.9])
      await expect(decodePicture(bytes.subarray(0, bytes.length * part))).rejects.toThrow();
  });

  test.each([
    ['SVG', '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"/>'],
    ['text', 'hello'],
    ['nothing', ''],
  ])('%s', async (_, content) => {
    await expect(decodePicture(new TextEncoder().encode(content))).rejects.toThrow();
  });

  test('GIF, saying what it is', async () => {
    const gif = await rgb(8, 8).gif().toBuffer();
    await expect(decodePicture(gif)).rejects.toThrow('it is a gif file; PNG, JPEG, WebP, AVIF and BMP can be read');
  });
});
