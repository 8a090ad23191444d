import type { PictureItem } from './caching-items.ts';
import { drawPicture, type DrawPictureOptions } from './draw-picture.ts';
import { lastPathPart } from './internal/file-names.ts';
import type { Pixels } from './pixels.ts';

/**
 * An image as text for a terminal, as `--debug_mode console` shows it: its path, caption, sizes and caches, then its targets
 * and control images as they go to the encoder, drawn with characters (`drawPicture`).
 *
 * @returns lines that each end in `\n`; control characters in paths and captions are written as escapes
 */
export function describePicture(item: PictureItem, options: DrawPictureOptions = {}): string {
  const facts = [
    printable(item.key),
    `  caption  ${printable(JSON.stringify(item.caption))}`,
    `  size     ${item.size.join(' x ')}, bucket ${item.bucket.join(' x ')}`,
    `  caches   ${printable(lastPathPart(item.latentCache))}, ${printable(lastPathPart(item.textCache))}`,
  ];
  return [
    ...facts.map((line) => `${line}\n`),
    ...drawAll('target', item.targetPixels, options),
    ...drawAll('control image', item.controlPixels, options),
  ].join('');
}

function drawAll(what: string, pictures: readonly Pixels[], options: DrawPictureOptions): string[] {
  return pictures.map((pixels, index) => {
    const number = pictures.length > 1 ? ` ${index + 1} of ${pictures.length}` : '';
    const kind = { 1: 'grey', 3: 'RGB', 4: 'RGBA' }[pixels.channels];
    return `  ${what}${number}: ${pixels.width} x ${pixels.height} ${kind}\n${drawPicture(pixels, options)}`;
  });
}

/** Escapes what a terminal would obey: C0 and C1 control characters. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
