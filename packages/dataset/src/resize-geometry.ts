import type { Size } from './dataset-types.ts';

/** How an image becomes its bucket's size: scaled to cover it, then cut in the middle. */
export interface ResizeGeometry {
  /** Lanczos enlarges, area averaging reduces (a scale of exactly 1 too); null: nothing to do. */
  readonly method: 'lanczos' | 'area' | null;
  /** Size after scaling. */
  readonly resized: Size;
  /** Part of the scaled image that is kept: left, top, width, height. */
  readonly crop: readonly [left: number, top: number, width: number, height: number];
}

/**
 * Scales by `max(bw/w, bh/h)` to `⌊side·scale + 0.5⌋` and cuts the bucket out of the middle.
 *
 * @param bucket sides of at least 1 pixel
 */
export function resizeGeometry([width, height]: Size, [bucketWidth, bucketHeight]: Size): ResizeGeometry {
  if (width === bucketWidth && height === bucketHeight) {
    return { method: null, resized: [width, height], crop: [0, 0, width, height] };
  }
  const scale = Math.max(bucketWidth / width, bucketHeight / height);
  const resized: Size = [Math.floor(width * scale + 0.5), Math.floor(height * scale + 0.5)];
  const left = Math.floor((resized[0] - bucketWidth) / 2);
  const top = Math.floor((resized[1] - bucketHeight) / 2);
  return { method: scale > 1 ? 'lanczos' : 'area', resized, crop: [left, top, bucketWidth, bucketHeight] };
}
