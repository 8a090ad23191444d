import { readFile } from 'node:fs/promises';

import sharp, { type Sharp } from 'sharp';

import { decodeBmp, isBmp, mostPixels } from '../bmp.ts';
import { type Pixels, withoutAlpha } from '../pixels.ts';

/**
 * Decodes a PNG, JPEG, WebP, AVIF or BMP file as Pillow does: RGB and RGBA are kept, everything else becomes RGB. So
 * palettes and grey lose their transparency, 16-bit colours keep their upper half, 16-bit grey is cut off at 255, CMYK is converted by
 * `(255 − C)·(255 − K)/255`. Profiles and the rotation that a camera notes are ignored.
 *
 * @throws {Error} that says what is wrong with the file
 */
export async function decodePicture(bytes: Uint8Array): Promise<Pixels> {
  if (isBmp(bytes)) return decodeBmp(bytes);
  // what Pillow refuses is refused: truncated and damaged data, not every oddity
  const image = sharp(bytes, { ignoreIcc: true, failOn: 'error', limitInputPixels: mostPixels });
  const { format, space } = await image.metadata();
  if (!['png', 'jpeg', 'webp', 'heif'].includes(format)) {
    throw new Error(`it is a ${format} file; PNG, JPEG, WebP, AVIF and BMP can be read`);
  }
  if (format === 'jpeg' && space === 'cmyk') {
    return fromCmyk(await rawPixels(image.pipelineColourspace('cmyk').toColourspace('cmyk').raw()));
  }
  const [bits, colourType] = format === 'png' ? [bytes[24], bytes[25]] : [8, null];
  if (bits === 16 && colourType === pngColourTypes.grey) {
    return fromGrey16(await rawPixels(image.toColourspace('grey16').raw({ depth: 'ushort' })));
  }
  const pixels = await rawPixels(image.raw());
  const keepsAlpha =
    colourType === null ||
    colourType === pngColourTypes.rgba ||
    (bits === 16 && colourType === pngColourTypes.greyAlpha);
  return keepsAlpha ? pixels : withoutAlpha(pixels);
}

/** Reads and decodes a file, see `decodePicture`. */
export async function decodePictureFile(file: string): Promise<Pixels> {
  return decodePicture(await readFile(file));
}

const pngColourTypes = { grey: 0, greyAlpha: 4, rgba: 6 };

async function rawPixels(image: Sharp): Promise<Pixels> {
  const { data, info } = await image.toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  if (channels !== 1 && channels !== 3 && channels !== 4) throw new Error(`it has ${channels} channels`);
  return { width, height, channels, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}

/** `[height, width, 4]` with ink as large values. */
function fromCmyk({ width, height, data: inks }: Pixels): Pixels {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0, k = 0; i < data.length; i += 3, k += 4) {
    const white = 255 - (inks[k + 3] ?? 0);
    for (let c = 0; c < 3; c++) {
      const product = (inks[k + c] ?? 0) * white + 128;
      data[i + c] = white - ((product + (product >> 8)) >> 8);
    }
  }
  return { width, height, channels: 3, data };
}

/** Two bytes a pixel, lower one first. */
function fromGrey16({ width, height, data: words }: Pixels): Pixels {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    data.fill(words[2 * i + 1] ? 255 : (words[2 * i] ?? 0), 3 * i, 3 * i + 3);
  }
  return { width, height, channels: 3, data };
}
