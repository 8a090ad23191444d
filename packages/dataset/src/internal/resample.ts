import type { Pixels } from '../pixels.ts';
import { bytesOf } from './average.ts';
import { loadKernels } from './kernels.ts';
import { padWeights, sumColumns, sumRows, type Weights } from './weighted-sums.ts';

// leaves 8 bits for the sample and 2 for overshoot and sign in a 32-bit sum
export const fractionBits = 22;
const half = 1 << (fractionBits - 1);

/** Resamples each of `count` rows from `first` on, with weights in units of 2⁻²². */
export function resampleRowsPlain(pixels: Pixels, weights: Weights, first: number, count: number): Pixels {
  const { channels, data } = pixels;
  const padded = padWeights(weights, 3, pixels.width);
  const stride = pixels.width * channels;
  const row = new Int32Array(stride);
  const sums = new Float64Array(weights.starts.length * channels);
  const out = new Uint8ClampedArray(sums.length * count); // clamps what it is given
  for (let y = 0, at = 0; y < count; y++) {
    row.set(data.subarray((first + y) * stride, (first + y + 1) * stride));
    sumColumns(sums, half, row, channels, padded);
    for (let i = 0; i < sums.length; i++, at++) out[at] = (sums[i] ?? 0) >> fractionBits;
  }
  return { width: weights.starts.length, height: count, channels, data: new Uint8Array(out.buffer) };
}

/** Resamples columns; `pixels` begins with row `first` of a picture `length` high. */
export function resampleColumnsPlain(pixels: Pixels, weights: Weights, first: number, length: number): Pixels {
  const { width, channels, data } = pixels;
  const padded = padWeights(weights, 3, length);
  const height = weights.starts.length;
  const sums = new Int32Array(width * channels);
  const out = new Uint8ClampedArray(sums.length * height);
  for (let y = 0, at = 0; y < height; y++) {
    sumRows(sums, half, data, first, padded, y);
    for (let i = 0; i < sums.length; i++, at++) out[at] = (sums[i] ?? 0) >> fractionBits;
  }
  return { width, height, channels, data: new Uint8Array(out.buffer) };
}

/** `resampleRowsPlain` in WebAssembly; null where it cannot be done there. */
export function resampleRowsFast(pixels: Pixels, weights: Weights, first: number, count: number): Pixels | null {
  const kernels = loadKernels();
  const { channels, data } = pixels;
  const { starts, taps, values } = weights;
  const [stride, outStride] = [pixels.width * channels, starts.length * channels];
  const room = kernels?.room(stride, 4 * starts.length, 4 * values.length, outStride);
  if (!kernels || !room) return null;
  const { bytes, at } = room;
  const [row, startsAt, weightsAt, outAt] = at;
  bytes.set(bytesOf(starts), startsAt);
  bytes.set(bytesOf(values), weightsAt);
  const out = new Uint8Array(outStride * count);
  for (let y = 0; y < count; y++) {
    bytes.set(data.subarray((first + y) * stride, (first + y + 1) * stride), row);
    kernels.resampleRow(outAt, row, startsAt, weightsAt, starts.length, taps, channels);
    out.set(bytes.subarray(outAt, outAt + outStride), y * outStride);
  }
  return { width: starts.length, height: count, channels, data: out };
}

/** `resampleColumnsPlain` in WebAssembly; null where it cannot be done there. */
export function resampleColumnsFast(pixels: Pixels, weights: Weights, first: number): Pixels | null {
  const kernels = loadKernels();
  const { width, channels, data } = pixels;
  const { starts, taps, values } = weights;
  const stride = width * channels;
  const room = kernels?.room(taps * stride, 4 * values.length, stride);
  if (!kernels || !room) return null;
  const { bytes, at } = room;
  const [strip, weightsAt, outAt] = at;
  bytes.set(bytesOf(values), weightsAt);
  const height = starts.length;
  const out = new Uint8Array(stride * height);
  for (let y = 0; y < height; y++) {
    const start = ((starts[y] ?? 0) - first) * stride;
    bytes.set(data.subarray(start, start + taps * stride), strip);
    kernels.resampleColumn(outAt, strip, stride, weightsAt + 4 * taps * y, taps);
    out.set(bytes.subarray(outAt, outAt + stride), y * stride);
  }
  return { width, height, channels, data: out };
}
