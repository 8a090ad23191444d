import type { Pixels } from '../pixels.ts';
import { loadKernels } from './kernels.ts';
import { padWeights, sumColumns, sumRows, type Weights } from './weighted-sums.ts';

/** A reduction: rows are summed first, then columns, then rounded to `sum / whole + nudge`, halves to even. */
export interface Averaging {
  readonly pixels: Pixels;
  readonly rows: Weights;
  readonly columns: Weights;
  /** What all weights of a result add up to. */
  readonly whole: number;
  readonly nudge: number;
}

export function averagePlain({ pixels, rows, columns, whole, nudge }: Averaging): Pixels {
  const { channels } = pixels;
  const [paddedRows, paddedColumns] = [padWeights(rows, 3, pixels.height), padWeights(columns, 3, pixels.width)];
  const [width, height] = [columns.starts.length, rows.starts.length];
  const row = new Int32Array(pixels.width * channels);
  const sums = new Float64Array(width * channels);
  const data = new Uint8ClampedArray(sums.length * height);
  for (let y = 0, at = 0; y < height; y++) {
    sumRows(row, 0, pixels.data, 0, paddedRows, y);
    sumColumns(sums, 0, row, channels, paddedColumns);
    // a clamped array rounds what it is given, halves to even
    for (let i = 0; i < sums.length; i++, at++) data[at] = (sums[i] ?? 0) / whole + nudge;
  }
  return { width, height, channels, data: new Uint8Array(data.buffer) };
}

// weights of rows are 16 bits there
const largestWeight = 32767;

/** The same in WebAssembly; null where it cannot be done there. */
export function averageFast({ pixels, rows, columns, whole, nudge }: Averaging): Pixels | null {
  const kernels = rows.values.every((weight) => weight <= largestWeight) ? loadKernels() : null;
  if (!kernels) return null;
  const { channels, data: from } = pixels;
  const { starts, taps, values } = padWeights(rows, 2, pixels.height);
  const [width, height] = [columns.starts.length, rows.starts.length];
  const stride = pixels.width * channels;
  const room = kernels.room(
    taps * stride,
    4 * stride,
    2 * values.length,
    4 * columns.starts.length,
    4 * columns.values.length,
    width * channels,
  );
  if (!room) return null;
  const { bytes, at } = room;
  const [strip, sums, rowWeights, columnStarts, columnWeights, out] = at;
  bytes.set(new Uint8Array(Int16Array.from(values).buffer), rowWeights);
  bytes.set(bytesOf(columns.starts), columnStarts);
  bytes.set(bytesOf(columns.values), columnWeights);

  const data = new Uint8Array(width * channels * height);
  for (let y = 0; y < height; y++) {
    const start = (starts[y] ?? 0) * stride;
    bytes.set(from.subarray(start, start + taps * stride), strip);
    kernels.sumRows(sums, strip, stride, rowWeights + 2 * taps * y, taps);
    kernels.averageColumns(out, sums, columnStarts, columnWeights, width, columns.taps, channels, whole, nudge);
    data.set(bytes.subarray(out, out + width * channels), y * width * channels);
  }
  return { width, height, channels, data };
}

export function bytesOf(values: Int32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
