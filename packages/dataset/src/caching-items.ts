import type { BucketKey } from './bucket-key.ts';
import type { ImageDatasetConfig, Size } from './dataset-types.ts';
import { DatasetError, type Warn } from './errors.ts';
import type { Pixels } from './pixels.ts';

/** An image of a dataset whose caches are to be made. */
export interface CachingItem {
  /** Path of the image, of its first target where it has several, as the configuration gives it. */
  readonly key: string;
  readonly caption: string;
  /** Paths of all targets and of the control images, as they are opened. */
  readonly targets: readonly string[];
  readonly controls: readonly string[];
  /** Path of its text-encoder cache. */
  readonly textCache: string;
}

/** An image of which the header has been read. */
export interface PlannedItem extends CachingItem {
  /** Of the image before resizing. */
  readonly size: Size;
  /** Sizes its pictures are brought to. */
  readonly bucket: Size;
  readonly controlSizes: readonly Size[];
  /** Items with the same key are encoded together, see `cachingKey`. */
  readonly batchKey: BucketKey;
  /** Path of its latent cache. */
  readonly latentCache: string;
}

/** An image ready to be encoded. */
export interface PictureItem extends PlannedItem {
  /** Targets in the size of `bucket`: RGB, only for the layered model RGBA where the file has alpha. */
  readonly targetPixels: readonly Pixels[];
  /** Control images in `controlSizes`: RGB, or RGBA where the file has alpha. */
  readonly controlPixels: readonly Pixels[];
}

/**
 * Leaves out images that stand in a list twice, and refuses different ones that would write the same text cache: those
 * with the same file name (folder and extension do not count) and another caption, or with control images that go into the text.
 *
 * @throws {DatasetError} `DUPLICATE_CACHE_FILE`
 */
export function withOwnTextCaches(
  items: readonly CachingItem[],
  { architecture }: ImageDatasetConfig,
  warn?: Warn,
): CachingItem[] {
  const seen = new Map<string, CachingItem>();
  return items.filter((item) => {
    const other = seen.get(item.textCache);
    if (!other) seen.set(item.textCache, item);
    else if (isSame(item, other)) {
      const message = `${item.key} is listed twice: remove one, and set num_repeats to train on it more often.`;
      warn?.({ code: 'DUPLICATE_INPUT', message });
      return false;
    } else if (
      item.caption !== other.caption ||
      (architecture.controlsPerImage === 'any' && item.controls.length > 0)
    ) {
      throw duplicate(item, other, item.textCache);
    }
    return true;
  });
}

/** @throws {DatasetError} `DUPLICATE_CACHE_FILE` where two images have the same file name and size */
export function assertOwnLatentCaches(items: readonly PlannedItem[]): void {
  const seen = new Map<string, PlannedItem>();
  for (const item of items) {
    const other = seen.get(item.latentCache);
    if (other) throw duplicate(item, other, item.latentCache);
    seen.set(item.latentCache, item);
  }
}

function isSame(a: CachingItem, b: CachingItem): boolean {
  const facts = ({ key, caption, targets, controls }: CachingItem) => JSON.stringify([key, caption, targets, controls]);
  return facts(a) === facts(b);
}

function duplicate(item: CachingItem, other: CachingItem, file: string): DatasetError {
  const what = `${other.key} and ${item.key} would both write ${file}.`;
  const remedy = 'Rename one of the images, or put it into a dataset of its own with another cache_directory.';
  return new DatasetError('DUPLICATE_CACHE_FILE', what, remedy, { file, value: [other.key, item.key] });
}
