import type { BucketKey } from './bucket-key.ts';
import type { ImageDatasetConfig } from './dataset-types.ts';
import type { PictureSizes } from './picture-sizes.ts';

/** Items that are encoded together. */
export interface CachingBatch<Item> {
  readonly key: BucketKey;
  readonly items: readonly Item[];
}

/**
 * What the images of a batch have in common while they are cached: width, height, then (FramePack and Wan) the latent
 * window size and, with clean indices, their count and `fp_1f_no_post`, then height and width of each control image.
 */
export function cachingKey(config: ImageDatasetConfig, { bucket, controls }: PictureSizes): BucketKey {
  const window = config.architecture.bucketsByWindow ? [config.fpLatentWindowSize] : [];
  const indices = config.fp1fCleanIndices;
  const oneFrame = window.length > 0 && indices ? [indices.length, config.fp1fNoPost] : [];
  return [...bucket, ...window, ...oneFrame, ...controls.flatMap(([width, height]) => [height, width])];
}

/** Batches in the order in which they fill up; what is left over follows in the order in which its keys were met. */
export function groupForCaching<Item extends { readonly batchKey: BucketKey }>(
  items: readonly Item[],
  batchSize: number,
): CachingBatch<Item>[] {
  const open = new Map<string, { key: BucketKey; items: Item[] }>();
  const batches: CachingBatch<Item>[] = [];
  for (const item of items) {
    const id = JSON.stringify(item.batchKey);
    const batch = open.get(id) ?? { key: item.batchKey, items: [] };
    open.set(id, batch);
    batch.items.push(item);
    if (batch.items.length < batchSize) continue;
    open.delete(id);
    batches.push(batch);
  }
  return [...batches, ...open.values()];
}
