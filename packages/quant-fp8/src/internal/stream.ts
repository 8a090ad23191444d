import { Fp8Error } from '../errors.ts';
import type { Fp8Format } from '../formats.ts';
import type { Grouping } from '../grouping.ts';
import { PIECE, WINDOW } from './engine.ts';
import type { Engine } from './engine.ts';
import type { WeightDtype } from './weight-dtype.ts';

/** Fills `into` with the bytes from `firstByte` on. */
export type ReadBytes = (into: Uint8Array, firstByte: number) => void;
/** Takes bytes that come one after another, and keeps none of them. */
export type WriteBytes = (bytes: Uint8Array) => void;

/** A weight that is worked on window by window, in whatever store it lies. */
export interface WeightStream {
  readonly name?: string | undefined;
  readonly dtype: WeightDtype;
  readonly format: Fp8Format;
  readonly grouping: Grouping;
}

export interface QuantizedStream {
  readonly scales: Float32Array;
  /** `√(Σ (w − ŵ)² / Σ w²)`, where ŵ is what dequantization gives */
  readonly relativeError: number;
  readonly squaredNorm: number;
  readonly squaredDistance: number;
}

/**
 * Quantizes a weight of any size in the engine's memory. Groups larger than a piece are read twice, once for their
 * largest magnitude and once for their codes.
 *
 * @throws {Fp8Error} `NOT_FINITE`
 */
export function quantizeStream(
  engine: Engine,
  weight: WeightStream,
  read: ReadBytes,
  write: WriteBytes,
): QuantizedStream {
  const { dtype, format, grouping } = weight;
  const { groups, size } = grouping;
  const load = windowOf(engine, dtype, groups * size, read);
  const emit = codeBuffer(engine, write);
  const scales = new Float32Array(groups);
  let [squaredNorm, squaredDistance] = [0, 0];

  /** Makes the scales of `count` groups from the largest magnitudes in the engine. */
  const finishScales = (first: number, count: number, largest: number) => {
    if (!Number.isFinite(largest)) throw notFinite(engine, weight, first, count);
    engine.toScales(format, dtype, count);
    scales.set(engine.scales.subarray(0, count), first);
  };
  const encode = (count: number, length: number) => {
    const firstCode = emit.reserve(count * length);
    const { norm, distance } = engine.encode(format, dtype, count, length, firstCode);
    squaredNorm += norm;
    squaredDistance += distance;
  };

  if (size <= PIECE) {
    const most = Math.floor(PIECE / size);
    for (let first = 0; first < groups; first += most) {
      const count = Math.min(most, groups - first);
      load(first * size, count * size);
      finishScales(first, count, engine.maxima(count, size));
      encode(count, size);
    }
  } else {
    for (let group = 0; group < groups; group++) {
      let largest = 0;
      for (const [first, count] of pieces(group * size, size)) {
        load(first, count);
        largest = Math.max(largest, engine.maxima(1, count));
      }
      engine.scales[0] = largest;
      finishScales(group, 1, largest);
      for (const [first, count] of pieces(group * size, size)) {
        load(first, count);
        encode(1, count);
      }
    }
  }
  emit.flush();
  const relativeError = squaredNorm === 0 ? 0 : Math.sqrt(squaredDistance / squaredNorm);
  return { scales, relativeError, squaredNorm, squaredDistance };
}

/** `code · scale`, rounded to the dtype of the scale, as bytes of that dtype. */
export function dequantizeStream(
  engine: Engine,
  weight: WeightStream,
  scales: Float32Array,
  readCodes: ReadBytes,
  write: WriteBytes,
): void {
  const { dtype, format, grouping } = weight;
  const { groups, size } = grouping;
  const width = dtype === 'F32' ? 4 : 2;
  const total = groups * size;
  for (let start = 0; start < total;) {
    // whole groups where they fit, so that a window never splits one that need not be
    const most = size <= PIECE ? Math.floor(WINDOW / size) * size : Math.min(WINDOW, size - (start % size));
    const length = Math.min(most, total - start);
    readCodes(engine.codes.subarray(0, length), start);
    for (let done = 0; done < length;) {
      const first = Math.floor((start + done) / size);
      const count =
        size <= PIECE ? Math.min(Math.floor(PIECE / size) * size, length - done) : Math.min(PIECE, length - done);
      const whole = size <= PIECE ? count / size : 1;
      engine.scales.set(scales.subarray(first, first + whole));
      engine.decode(format, whole, count / whole, done);
      engine.narrow(dtype, done, count);
      done += count;
    }
    write(engine.raw.subarray(0, length * width));
    start += length;
  }
}

/** Runs of at most {@link PIECE} numbers. */
function* pieces(start: number, size: number): Generator<readonly [first: number, count: number]> {
  for (let done = 0; done < size; done += PIECE) yield [start + done, Math.min(PIECE, size - done)];
}

/** Widens `count` numbers from number `first` on, reading a window from there where they are not in the present one. */
function windowOf(engine: Engine, dtype: WeightDtype, total: number, read: ReadBytes) {
  const width = dtype === 'F32' ? 4 : 2;
  let [start, end] = [0, 0];
  return (first: number, count: number): void => {
    if (first < start || first + count > end) {
      [start, end] = [first, Math.min(first + WINDOW, total)];
      read(engine.raw.subarray(0, (end - start) * width), start * width);
    }
    engine.widen(dtype, first - start, count);
  };
}

/** Collects codes in the engine's buffer and hands it out whenever it is full. */
function codeBuffer(engine: Engine, write: WriteBytes) {
  let filled = 0;
  const flush = () => {
    if (filled > 0) write(engine.codes.subarray(0, filled));
    filled = 0;
  };
  const reserve = (count: number): number => {
    if (filled + count > engine.codes.length) flush();
    filled += count;
    return filled - count;
  };
  return { flush, reserve };
}

function notFinite(engine: Engine, { name, grouping }: WeightStream, first: number, count: number): Fp8Error {
  const bad = first + engine.scales.subarray(0, count).findIndex((largest) => !Number.isFinite(largest));
  const { mode, size } = grouping;
  const where = mode === 'tensor' ? '' : ` among the numbers ${bad * size} to ${(bad + 1) * size - 1}`;
  return new Fp8Error(
    'NOT_FINITE',
    `${name ?? 'the weight'} holds NaN or infinity${where}.`,
    'The checkpoint is damaged or its training diverged: use another one.',
    name === undefined ? {} : { tensor: name },
  );
}
