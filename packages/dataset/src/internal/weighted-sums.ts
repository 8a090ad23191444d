/** What each result of a direction is made of: `taps` neighbouring samples with their weights. */
export interface Weights {
  /** First sample of each result. */
  readonly starts: Int32Array;
  readonly taps: number;
  /** `[results, taps]`, whole numbers, so that sums are exact; samples that do not count have the weight 0. */
  readonly values: Int32Array;
}

/** What one result is made of: its first sample, and the weights from it on. */
export interface ResultWeights {
  readonly begin: number;
  readonly weights: ArrayLike<number>;
}

/** Lays out the weights of `count` results among `length` samples, with as many taps as the result of most samples needs. */
export function createWeights(length: number, count: number, of: (index: number) => ResultWeights): Weights {
  const results = Array.from({ length: count }, (_, index) => of(index));
  const taps = results.reduce((most, { weights }) => Math.max(most, weights.length), 1);
  return layOut(results, length, taps);
}

/**
 * The same with a number of taps that is a multiple of `multiple`. Results stay inside the `length` samples where there are
 * as many; else the taps beyond the end have the weight 0.
 */
export function padWeights({ starts, taps, values }: Weights, multiple: number, length: number): Weights {
  const results = Array.from(starts, (begin, index) => ({
    begin,
    weights: values.subarray(index * taps, (index + 1) * taps),
  }));
  return layOut(results, length, Math.ceil(taps / multiple) * multiple);
}

function layOut(results: readonly ResultWeights[], length: number, taps: number): Weights {
  const starts = new Int32Array(results.length);
  const values = new Int32Array(results.length * taps);
  for (const [index, { begin, weights }] of results.entries()) {
    const start = Math.max(0, Math.min(begin, length - taps)); // stays inside
    starts[index] = start;
    values.set(weights, index * taps + begin - start);
  }
  return { starts, taps, values };
}

/**
 * Sums the weighted rows of result `index`, three at a time, because such loops spend their time on loads and stores.
 *
 * @param sums overwritten; weights and sums fit into 32 bits
 * @param base what every sum starts at
 * @param from rows of `sums.length` samples, beginning with row `first` of the picture
 */
export function sumRows(
  sums: Int32Array,
  base: number,
  from: Uint8Array,
  first: number,
  { starts, taps, values }: Weights,
  index: number,
): void {
  const row = (starts[index] ?? 0) - first;
  for (let k = 0, at = index * taps; k < taps; k += 3, at += 3) {
    const [w0, w1, w2] = [values[at] ?? 0, values[at + 1] ?? 0, values[at + 2] ?? 0];
    if (k === 0) setRows(sums, base, from, row * sums.length, w0, w1, w2);
    else addRows(sums, from, (row + k) * sums.length, w0, w1, w2);
  }
}

// `| 0` says that sums stay in 32 bits, which spares the checks for more
function setRows(sums: Int32Array, base: number, from: Uint8Array, row0: number, w0: number, w1: number, w2: number) {
  const row1 = row0 + sums.length;
  const row2 = row1 + sums.length;
  for (let i = 0; i < sums.length; i++) {
    const first = (base + Math.imul(w0, from[row0 + i] ?? 0)) | 0;
    const second = (first + Math.imul(w1, from[row1 + i] ?? 0)) | 0;
    sums[i] = (second + Math.imul(w2, from[row2 + i] ?? 0)) | 0;
  }
}

function addRows(sums: Int32Array, from: Uint8Array, row0: number, w0: number, w1: number, w2: number): void {
  const row1 = row0 + sums.length;
  const row2 = row1 + sums.length;
  for (let i = 0; i < sums.length; i++) {
    const first = ((sums[i] ?? 0) + Math.imul(w0, from[row0 + i] ?? 0)) | 0;
    const second = (first + Math.imul(w1, from[row1 + i] ?? 0)) | 0;
    sums[i] = (second + Math.imul(w2, from[row2 + i] ?? 0)) | 0;
  }
}

/**
 * Sums the weighted columns of `row` `[samples, channels]`, in doubles.
 *
 * @param sums `[results, channels]`, overwritten
 */
export function sumColumns(
  sums: Float64Array,
  base: number,
  row: Int32Array,
  channels: number,
  { starts, taps, values }: Weights,
): void {
  for (let k = 0; k < taps; k += 3) {
    let at = 0;
    for (let x = 0; x < starts.length; x++) {
      const w0 = values[x * taps + k] ?? 0;
      const w1 = values[x * taps + k + 1] ?? 0;
      const w2 = values[x * taps + k + 2] ?? 0;
      const first = ((starts[x] ?? 0) + k) * channels;
      for (let i = first; i < first + channels; i++, at++) {
        const sum = w0 * (row[i] ?? 0) + w1 * (row[i + channels] ?? 0) + w2 * (row[i + 2 * channels] ?? 0);
        sums[at] = (k === 0 ? base : (sums[at] ?? 0)) + sum;
      }
    }
  }
}
