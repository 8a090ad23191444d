/** A picture as the filters take it: 8 bits a sample, rows from top to bottom, channels side by side. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** 1 grey or alpha alone, 3 RGB, 4 RGBA. */
  readonly channels: 1 | 3 | 4;
  /** `[height, width, channels]` */
  readonly data: Uint8Array;
}

/** A part of a picture, in pixels. */
export type Box = readonly [left: number, top: number, width: number, height: number];

/** Colours without the fourth channel; what lies behind transparent pixels shows. */
export function withoutAlpha(pixels: Pixels): Pixels {
  if (pixels.channels !== 4) return pixels;
  const { width, height, data: from } = pixels;
  const data = new Uint8Array(width * height * 3);
  for (let i = 0, k = 0; i < data.length; i += 3, k += 4) {
    data[i] = from[k] ?? 0;
    data[i + 1] = from[k + 1] ?? 0;
    data[i + 2] = from[k + 2] ?? 0;
  }
  return { width, height, channels: 3, data };
}

/** The fourth channel as a picture of its own, or null when there is none. */
export function alphaOf({ width, height, channels, data }: Pixels): Pixels | null {
  if (channels !== 4) return null;
  const alpha = new Uint8Array(width * height);
  for (let i = 0; i < alpha.length; i++) alpha[i] = data[4 * i + 3] ?? 0;
  return { width, height, channels: 1, data: alpha };
}

/**
 * What an image encoder takes: `value / 127.5 − 1` in float32, without alpha.
 *
 * @returns `[3, height, width]` in [−1, 1]
 */
export function normalizePixels({ width, height, channels, data }: Pixels): Float32Array {
  const area = width * height;
  const values = new Float32Array(3 * area);
  for (let c = 0; c < 3; c++) {
    const offset = channels === 1 ? 0 : c;
    for (let i = 0; i < area; i++) values[c * area + i] = normalized[data[i * channels + offset] ?? 0] ?? 0;
  }
  return values;
}

// each step rounded to float32, as float32 arithmetic does
const normalized = Float32Array.from({ length: 256 }, (_, value) => Math.fround(value / 127.5) - 1);

/** A part of a picture. */
export function crop({ width, channels, data }: Pixels, [left, top, ...size]: Box): Pixels {
  const rowBytes = size[0] * channels;
  const cut = new Uint8Array(rowBytes * size[1]);
  for (let y = 0; y < size[1]; y++) {
    const start = ((top + y) * width + left) * channels;
    cut.set(data.subarray(start, start + rowBytes), y * rowBytes);
  }
  return { width: size[0], height: size[1], channels, data: cut };
}
