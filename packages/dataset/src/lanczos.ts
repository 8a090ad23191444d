import type { Size } from './dataset-types.ts';
import { premultiplied, unpremultiplied } from './internal/premultiply.ts';
import {
  fractionBits,
  resampleColumnsFast,
  resampleColumnsPlain,
  resampleRowsFast,
  resampleRowsPlain,
} from './internal/resample.ts';
import { createWeights, type Weights } from './internal/weighted-sums.ts';
import { type Box, crop, type Pixels } from './pixels.ts';

/**
 * Lanczos resampling (a = 3) in 8-bit fixed point, as Pillow's `LANCZOS` filter: rows, then columns, each result rounded
 * to 8 bits; a direction whose size stays is left alone; RGBA is premultiplied meanwhile.
 *
 *     out[i] = Σₖ w(k)·in[k],   w(k) ∝ L((k − c + 0.5)/s),   c = (i + 0.5)·m/n,   s = max(1, m/n)
 *     L(x) = sinc(x)·sinc(x/3) for |x| < 3
 *
 * @param size of the whole result
 * @param part of it that is wanted, default all
 */
export function resizeLanczos(pixels: Pixels, size: Size, part: Box = [0, 0, ...size]): Pixels {
  const [left, top, width, height] = part;
  const source = pixels.channels === 4 ? premultiplied(pixels) : pixels;
  const rows = size[1] === pixels.height ? null : lanczosWeights(pixels.height, size[1], top, height);
  const columns = size[0] === pixels.width ? null : lanczosWeights(pixels.width, size[0], left, width);
  const first = rows ? (rows.starts[0] ?? 0) : top;
  const end = rows ? Math.min(pixels.height, (rows.starts.at(-1) ?? 0) + rows.taps) : top + height;
  const narrow = columns
    ? (resampleRowsFast(source, columns, first, end - first) ?? resampleRowsPlain(source, columns, first, end - first))
    : crop(source, [left, first, width, end - first]);
  const resized = rows
    ? (resampleColumnsFast(narrow, rows, first) ?? resampleColumnsPlain(narrow, rows, first, pixels.height))
    : narrow;
  return pixels.channels === 4 ? unpremultiplied(resized) : resized;
}

const radius = 3;

/** Weights in units of 2⁻²². */
function lanczosWeights(from: number, to: number, first: number, count: number): Weights {
  const step = from / to;
  const scale = Math.max(1, step);
  const support = radius * scale;
  return createWeights(from, count, (i) => {
    const centre = (first + i + 0.5) * step;
    const begin = Math.max(0, Math.floor(centre - support + 0.5));
    const end = Math.min(from, Math.floor(centre + support + 0.5));
    const weights = Array.from({ length: end - begin }, (_, k) => lanczos((begin + k - centre + 0.5) / scale));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { begin, weights: weights.map((weight) => toFixedPoint(weight / sum)) };
  });
}

function toFixedPoint(weight: number): number {
  return Math.trunc(weight * (1 << fractionBits) + (weight < 0 ? -0.5 : 0.5));
}

function lanczos(x: number): number {
  return x >= -radius && x < radius ? sinc(x) * sinc(x / radius) : 0;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}
