import { open } from 'node:fs/promises';

import sharp from 'sharp';

import { bmpHeaderBytes, bmpSize, isBmp, mostPixels } from '../bmp.ts';
import type { Size } from '../dataset-types.ts';

/**
 * Width and height of a picture from its header; no pixel is decoded.
 *
 * @throws {Error} that says what is wrong with the file
 */
export async function readPictureSize(file: string): Promise<Size> {
  const start = await readStart(file);
  if (start.length === 0) throw new Error('it is empty');
  if (isBmp(start)) return bmpSize(start);
  const { width, height } = await sharp(file, { limitInputPixels: mostPixels }).metadata();
  return [width, height];
}

async function readStart(file: string): Promise<Uint8Array> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(new Uint8Array(bmpHeaderBytes), 0, bmpHeaderBytes, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
