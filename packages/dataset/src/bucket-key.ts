import type { LatentCacheName } from './cache-names.ts';
import { withoutDtype } from './cache-keys.ts';
import type { DatasetConfig, Size } from './dataset-types.ts';
import { compareText } from './internal/text-order.ts';

/**
 * What the items of a batch have in common. Images: width, height, then (FramePack and Wan) the latent window size and,
 * with clean indices, their count and `fp_1f_no_post`, then the names of the control latents with their sizes. Videos:
 * width, height, frames.
 */
export type BucketKey = readonly (number | boolean | string)[];

/**
 * @param bucket size the bucket list gives the item
 * @param tensorNames keys of the latent cache file; only images need them
 */
export function bucketKey(
  config: DatasetConfig,
  bucket: Size,
  cache: LatentCacheName,
  tensorNames: Iterable<string>,
): BucketKey {
  if (config.kind === 'video') return [...bucket, cache.crop?.length ?? 1];
  const window = config.architecture.bucketsByWindow ? [config.fpLatentWindowSize] : [];
  const indices = config.fp1fCleanIndices;
  const oneFrame = window.length > 0 && indices ? [indices.length, config.fp1fNoPost] : [];
  const controls = [...tensorNames].filter((name) => name.startsWith('latents_control_'));
  return [...bucket, ...window, ...oneFrame, ...controls.toSorted(compareText).map(withoutDtype)];
}

/** Orders keys entry by entry, numbers before texts; a key comes before its continuations. */
export function compareBucketKeys(a: BucketKey, b: BucketKey): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const difference = compareEntries(a[i] ?? 0, b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

function compareEntries(a: number | boolean | string, b: number | boolean | string): number {
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b);
  if (typeof a === 'string' || typeof b === 'string') return typeof a === 'string' ? 1 : -1;
  return Number(a) - Number(b);
}
