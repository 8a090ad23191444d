import type { SavePrecision } from '@musubi/config';

import {
  type CacheContents,
  type EncodedValues,
  cacheFormatVersion,
  storeValues,
  storedTypes,
} from './stored-values.ts';

export interface LatentCacheOptions {
  /** As in the metadata, e.g. `wan`. */
  readonly architecture: string;
  /** Of the picture before resizing, in pixels. */
  readonly originalSize: readonly [width: number, height: number];
  /** `[16, F, h, w]`, normalized. */
  readonly latents: EncodedValues;
  /** Those of the control picture. */
  readonly control?: EncodedValues | undefined;
  readonly precision: SavePrecision;
}

/**
 * The contents of a picture's latent cache: `latents_<F>x<h>x<w>_<dtype>`. A control picture's tensor carries the size of
 * the target in its name, whatever its own is, since readers look for it there.
 */
export function latentCache(options: LatentCacheOptions): CacheContents {
  const { architecture, originalSize, latents, control, precision } = options;
  const [width, height] = originalSize;
  const suffix = `${latents.shape.slice(1).join('x')}_${storedTypes[precision].torch}`;
  const values = new Map([[`latents_${suffix}`, latents]]);
  if (control) values.set(`latents_control_${suffix}`, control);
  return storeValues(values, precision, {
    architecture,
    width: String(width),
    height: String(height),
    format_version: cacheFormatVersion,
  });
}
