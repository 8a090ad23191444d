import type { Size } from './dataset-types.ts';
import { DatasetError } from './errors.ts';

/**
 * Bucket sizes for an area: with `A = W·H` and `s = ⌊√A⌋`, widths from `⌊s/2⌋` to `s + step` in steps, each with the
 * height `⌊A/w⌋` and turned around; every side rounded down to the step. Sorted, without duplicates.
 *
 * @param resolution wanted size in pixels, at least 32 x 32 in area for a step of 16
 * @throws {DatasetError} `OPTION_OUT_OF_RANGE`
 */
export function bucketList(resolution: Size, step = 16): Size[] {
  assertResolution(resolution);
  const area = resolution[0] * resolution[1];
  const side = Math.floor(Math.sqrt(area));
  const first = roundDown(Math.floor(side / 2), step);
  if (first < step) throw outOfRange(resolution, `With buckets its area has to be at least ${2 * step} x ${2 * step}.`);
  const sizes = new Map<string, Size>();
  for (let width = first; width < side + step; width += step) {
    const height = roundDown(Math.floor(area / width), step);
    sizes.set(`${width}x${height}`, [width, height]);
    sizes.set(`${height}x${width}`, [height, width]);
  }
  return [...sizes.values()].toSorted((a, b) => a[0] - b[0] || a[1] - b[1]);
}

export interface BucketOptions {
  readonly resolution: Size;
  readonly enableBucket: boolean;
  readonly bucketNoUpscale: boolean;
  /** Default 16. */
  readonly step?: number;
}

/**
 * Returns the function that gives an image its bucket: the one whose aspect ratio is nearest, the first on ties. Without
 * bucketing that is the resolution as it is. With `bucketNoUpscale` an image of at most the resolution's area keeps its
 * size, sides rounded down to the step (0 for a side below the step, which cannot be used).
 *
 * @throws {DatasetError} `OPTION_OUT_OF_RANGE`
 */
export function createBucketSelector(options: BucketOptions): (size: Size) => Size {
  const { resolution, enableBucket, bucketNoUpscale, step = 16 } = options;
  assertResolution(resolution);
  if (!enableBucket) return () => resolution;
  const buckets = bucketList(resolution, step);
  const area = resolution[0] * resolution[1];
  return ([width, height]) => {
    if (bucketNoUpscale && width * height <= area) return [roundDown(width, step), roundDown(height, step)];
    return nearestAspect(buckets, width / height) ?? resolution;
  };
}

/**
 * Size of a control image under `control_resolution`: of the five widths around `√(A·r)` the one whose aspect ratio is
 * nearest to the image's `r`, the first on ties.
 *
 * @throws {DatasetError} `OPTION_OUT_OF_RANGE` for an area in which the image's shape has no such size
 */
export function controlBucket([width, height]: Size, resolution: Size, step = 16): Size {
  assertResolution(resolution);
  const area = resolution[0] * resolution[1];
  const middle = roundDown(Math.floor(Math.sqrt((area * width) / height)), step);
  const candidates = [-2, -1, 0, 1, 2].flatMap((i): Size[] => {
    const w = middle + i * step;
    const h = w > 0 ? roundDown(Math.floor(area / w), step) : 0;
    return h > 0 ? [[w, h]] : [];
  });
  const best = nearestAspect(candidates, width / height);
  if (best) return best;
  throw outOfRange(resolution, `It is too small for a control image of ${width} x ${height}.`);
}

function nearestAspect(sizes: readonly Size[], aspect: number): Size | undefined {
  let best: Size | undefined;
  let bestDifference = Infinity;
  for (const size of sizes) {
    const difference = Math.abs(size[0] / size[1] - aspect);
    if (difference < bestDifference) [best, bestDifference] = [size, difference];
  }
  return best;
}

function roundDown(value: number, step: number): number {
  return value - (value % step);
}

// far above any picture a model is trained on, and low enough that a list of buckets stays short
const longestSide = 65536;

function assertResolution(resolution: Size): void {
  if (resolution.every((side) => Number.isInteger(side) && side >= 1 && side <= longestSide)) return;
  throw outOfRange(resolution, `Sides are from 1 to ${longestSide} pixels.`);
}

function outOfRange(resolution: Size, reason: string): DatasetError {
  const what = `resolution = [${resolution.join(', ')}] cannot be used.`;
  return new DatasetError('OPTION_OUT_OF_RANGE', what, reason, { option: 'resolution', value: resolution });
}
