import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { expect, test } from 'vitest';

import { decodePictureFile } from '../src/node/decode-picture.ts';

interface Decoded {
  mode: string;
  width: number;
  height: number;
  channels: 3 | 4;
  /** base64 */
  pixels: string;
}

const path = (name: string) => fileURLToPath(new URL(`pictures/${name}`, import.meta.url));
const { files }: { files: Record<string, Decoded | null> } = JSON.parse(readFileSync(path('pillow.json'), 'utf8'));

const cases = Object.entries(files).map(([file, decoded]) => ({ file, decoded, mode: decoded?.mode ?? 'nothing' }));

test.each(cases)('$file is $mode to Pillow and decodes to the same pixels', async ({ file, decoded }) => {
  const decoding = decodePictureFile(path(`pillow/${file}`));
  if (!decoded) {
    await expect(decoding).rejects.toThrow();
    return;
  }
  const { width, height, channels, pixels } = decoded;
  const actual = await decoding;
  expect(actual).toMatchObject({ width, height, channels });
  expect(actual.data).toBeAllClose(new Uint8Array(Buffer.from(pixels, 'base64')));
});

test('files of every kind are there', () => {
  expect(new Set(cases.map(({ mode }) => mode))).toEqual(
    new Set(['1', 'CMYK', 'I', 'L', 'LA', 'P', 'RGB', 'RGBA', 'nothing']),
  );
  expect(new Set(cases.map(({ file }) => file.split('.').at(-1)?.toLowerCase()))).toEqual(
    new Set(['bmp', 'jpeg', 'jpg', 'png', 'webp']),
  );
});
