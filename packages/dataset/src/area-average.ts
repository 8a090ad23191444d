import type { Size } from './dataset-types.ts';
import { averageFast, averagePlain } from './internal/average.ts';
import { createWeights, type Weights } from './internal/weighted-sums.ts';
import type { Box, Pixels } from './pixels.ts';

/**
 * Reduces a picture by averaging, as OpenCV's `INTER_AREA`: result `i` of `n` covers the samples from `i·m/n` to
 * `(i + 1)·m/n` of `m`, those at the ends in part. Sums are exact whole numbers (weights in units of 1/n), rounded once: half
 * to even, or up where both sides are exactly halved. Alpha is averaged like a colour.
 *
 * @param size of the whole result, each side at most the picture's
 * @param part of it that is wanted, default all
 */
export function averageArea(pixels: Pixels, size: Size, part: Box = [0, 0, ...size]): Pixels {
  const [left, top, width, height] = part;
  const isQuartered = pixels.width === 2 * size[0] && pixels.height === 2 * size[1];
  const averaging = {
    pixels,
    rows: coverage(pixels.height, size[1], top, height),
    columns: coverage(pixels.width, size[0], left, width),
    whole: pixels.width * pixels.height,
    nudge: isQuartered ? 1 / 8 : 0, // of quarters a half goes up
  };
  return averageFast(averaging) ?? averagePlain(averaging);
}

/** How much of each of `from` samples the results from `first` on cover, in units of 1/n. */
function coverage(from: number, n: number, first: number, count: number): Weights {
  return createWeights(from, count, (i) => {
    const start = (first + i) * from;
    const end = start + from;
    const begin = Math.floor(start / n);
    const weights = Array.from({ length: Math.ceil(end / n) - begin }, (_, k) => {
      const sample = (begin + k) * n;
      return Math.min(end, sample + n) - Math.max(start, sample);
    });
    return { begin, weights };
  });
}
