import type { Pixels } from '../pixels.ts';

/** RGBA with colours times alpha, rounded: `t = c·a + 128; (t + (t >> 8)) >> 8`. */
export function premultiplied({ width, height, data: from }: Pixels): Pixels {
  const data = new Uint8Array(from.length);
  for (let i = 0; i < data.length; i += 4) {
    const alpha = from[i + 3] ?? 0;
    for (let c = i; c < i + 3; c++) {
      const product = (from[c] ?? 0) * alpha + 128;
      data[c] = (product + (product >> 8)) >> 8;
    }
    data[i + 3] = alpha;
  }
  return { width, height, channels: 4, data };
}

/** The reverse, `min(255, ⌊255·c/a⌋)`; nothing can be said of fully transparent pixels, which stay. In place. */
export function unpremultiplied(pixels: Pixels): Pixels {
  const { data } = pixels;
  for (let i = 0; i < data.length; i += 4) {
    const alpha = data[i + 3] ?? 0;
    if (alpha === 0 || alpha === 255) continue;
    for (let c = i; c < i + 3; c++) data[c] = Math.min(255, Math.floor((255 * (data[c] ?? 0)) / alpha));
  }
  return pixels;
}
