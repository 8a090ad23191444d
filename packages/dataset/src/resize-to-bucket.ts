import { averageArea } from './area-average.ts';
import type { Size } from './dataset-types.ts';
import { resizeLanczos } from './lanczos.ts';
import { crop, type Pixels } from './pixels.ts';
import { resizeGeometry } from './resize-geometry.ts';

/**
 * A picture in the size of its bucket: scaled to cover it (`resizeGeometry`), then cut in the middle. Lanczos enlarges, the
 * average over areas reduces; only what the cut keeps is computed. A picture that has the size already is returned as it is.
 *
 * @param bucket sides of at least 1 pixel
 */
export function resizeToBucket(pixels: Pixels, bucket: Size): Pixels {
  const { method, resized, crop: part } = resizeGeometry([pixels.width, pixels.height], bucket);
  if (method === null) return pixels;
  if (method === 'lanczos') return resizeLanczos(pixels, resized, part);
  const isCropOnly = resized[0] === pixels.width && resized[1] === pixels.height;
  return isCropOnly ? crop(pixels, part) : averageArea(pixels, resized, part);
}
