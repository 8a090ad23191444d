import { join } from 'node:path';

import { type CachingBatch, cachingKey, groupForCaching } from '../caching-batches.ts';
import { assertOwnLatentCaches, type CachingItem, type PictureItem, type PlannedItem } from '../caching-items.ts';
import { latentCacheBase, latentCacheName, textCacheBase } from '../cache-names.ts';
import type { ImageDatasetConfig, Size } from '../dataset-types.ts';
import { DatasetError } from '../errors.ts';
import { baseName } from '../internal/file-names.ts';
import { mapInOrder } from '../internal/in-order.ts';
import { readAhead } from '../internal/read-ahead.ts';
import { assertEncodable, createPictureSizes } from '../picture-sizes.ts';
import { diskFiles } from './disk.ts';
import { loadDecoder, unreadablePicture } from './load-decoder.ts';
import type { PicturePool } from './picture-pool.ts';

/** All images of a dataset with the caches they are to have. */
export interface CachingPlan {
  /** In the order of the dataset, without those that cannot be used. */
  readonly items: readonly PlannedItem[];
  /** As the images are encoded together: in the order in which batches fill up, what is left over at the end. */
  readonly batches: readonly CachingBatch<PlannedItem>[];
  /** Paths of the images that cannot be used. */
  readonly unreadable: readonly string[];
}

/** An image dataset to make caches of. */
export interface CachingDataset {
  readonly config: ImageDatasetConfig;
  /** Path of the cache folder as it is opened; it may not exist yet. */
  readonly cacheDirectory: string;
  /** In the order of the dataset, without those whose caption cannot be read. */
  readonly items: readonly CachingItem[];
  /** Items as their texts are encoded together: `batch_size` at a time. */
  readonly textBatches: readonly (readonly CachingItem[])[];
  /**
   * Reads the headers of all pictures, once: sizes, buckets, paths of latent caches, batches.
   *
   * @throws {DatasetError} `DUPLICATE_CACHE_FILE`, `OPTION_OUT_OF_RANGE`
   */
  plan(): Promise<CachingPlan>;
  /**
   * The batches of the plan with their pixels, decoded and resized in worker threads a few images ahead. Images that cannot be
   * read are left out and added to the failures; a batch without any other is left out too.
   *
   * @param options.skip true for an item whose pixels are not wanted, e.g. because its cache exists
   * @throws {DatasetError} those of `plan`, `DECODER_FAILED`
   */
  pictureBatches(options?: {
    readonly skip?: (item: PlannedItem) => boolean | Promise<boolean>;
  }): AsyncGenerator<CachingBatch<PictureItem>, void, undefined>;
  /**
   * Paths of cache files in the cache folder that belong to no image of the dataset any more. Those of images that cannot be
   * read belong to them. A dataset without images gives none: a mistyped folder shall not cost its caches.
   *
   * @throws {DatasetError} those of `plan`
   */
  staleCaches(kind: 'latents' | 'texts'): Promise<string[]>;
}

export interface CachingDatasetParts {
  readonly config: ImageDatasetConfig;
  readonly cacheDirectory: string;
  readonly items: readonly CachingItem[];
  readonly pool: PicturePool;
  /** Paths of items that were left out before, because of their captions. */
  readonly unreadable: readonly string[];
  /** Told of every image that is left out. */
  fail(key: string, file: string, error: DatasetError): void;
}

// pictures come in order: while a large one is decoded, the threads go on with those behind it
const picturesAhead = 4;

export function createCachingDataset(parts: CachingDatasetParts): CachingDataset {
  const { config, cacheDirectory, items, pool } = parts;
  const { shortName } = config.architecture;
  let planned: Promise<CachingPlan> | undefined;

  async function prepare(item: PlannedItem): Promise<PictureItem | null> {
    const { targets, controls, size, bucket, controlSizes } = item;
    const keepsAlpha = config.architecture.keepsAlpha;
    const result = await pool.run({ targets, controls, size, bucket, controlSizes, keepsAlpha });
    if ('targets' in result) return { ...item, targetPixels: result.targets, controlPixels: result.controls };
    parts.fail(item.key, result.file, unreadablePicture(result.file, new Error(result.reason)));
    return null;
  }

  async function* pictureBatches({ skip }: Parameters<CachingDataset['pictureBatches']>[0] = {}) {
    const { batches } = await dataset.plan();
    const wanted: CachingBatch<PlannedItem>[] = [];
    for (const { key, items: members } of batches) {
      const skipped = await Promise.all(members.map((item) => skip?.(item) ?? false));
      wanted.push({ key, items: members.filter((_, index) => !skipped[index]) });
    }
    const loaded = readAhead(
      wanted.flatMap((batch) => batch.items),
      prepare,
      picturesAhead * pool.threads,
    );
    try {
      for (const { key, items: members } of wanted) {
        const pictures: PictureItem[] = [];
        for (let i = 0; i < members.length; i++) {
          const next = await loaded.next();
          if (next.value) pictures.push(next.value);
        }
        if (pictures.length > 0) yield { key, items: pictures };
      }
    } finally {
      await loaded.return();
    }
  }

  async function staleCaches(kind: 'latents' | 'texts'): Promise<string[]> {
    if (items.length === 0) return [];
    const plan = kind === 'latents' ? await dataset.plan() : null;
    const current = new Set(
      plan?.items.map(({ latentCache }) => latentCache) ?? items.map(({ textCache }) => textCache),
    );
    const unreadable = new Set([...parts.unreadable, ...(plan?.unreadable ?? [])].map(baseName));
    const baseOf = (name: string) => (plan ? latentCacheBase(name, shortName) : textCacheBase(name, shortName));
    const entries = (await diskFiles().list(cacheDirectory)) ?? [];
    return entries.flatMap(({ name, isFolder }) => {
      const base = isFolder ? null : baseOf(name);
      const path = join(cacheDirectory, name);
      return base === null || unreadable.has(base) || current.has(path) ? [] : [path];
    });
  }

  const dataset: CachingDataset = {
    config,
    cacheDirectory,
    items,
    textBatches: groupsOf(config.batchSize, items),
    plan: () => (planned ??= createPlan(parts)),
    pictureBatches,
    staleCaches,
  };
  return dataset;
}

async function createPlan({ config, cacheDirectory, items, fail }: CachingDatasetParts): Promise<CachingPlan> {
  const { readPictureSize } = await loadDecoder();
  const toSizes = createPictureSizes(config);
  const planned = await mapInOrder(items, async (item): Promise<PlannedItem | null> => {
    const files = [...item.targets, ...item.controls];
    const sizes: Size[] = [];
    let file = '';
    try {
      for (file of files) sizes.push(await readPictureSize(file));
      const size = sizes[0] ?? [0, 0];
      const { bucket, controls } = toSizes(size, sizes.slice(item.targets.length));
      [bucket, ...controls].forEach((wanted, index) => {
        const at = index === 0 ? 0 : item.targets.length + index - 1;
        assertEncodable((file = files[at] ?? ''), sizes[at] ?? size, wanted);
      });
      const batchKey = cachingKey(config, { bucket, controls });
      const latentCache = join(
        cacheDirectory,
        latentCacheName(baseName(item.key), size, config.architecture.shortName),
      );
      return { ...item, size, bucket, controlSizes: controls, batchKey, latentCache };
    } catch (error) {
      fail(item.key, file, error instanceof DatasetError ? error : unreadablePicture(file, error));
      return null;
    }
  });
  const readable = planned.filter((item) => item !== null);
  assertOwnLatentCaches(readable);
  const unreadable = items.filter((_, index) => planned[index] === null).map(({ key }) => key);
  return { items: readable, batches: groupForCaching(readable, config.batchSize), unreadable };
}

function groupsOf<Item>(count: number, items: readonly Item[]): Item[][] {
  return Array.from({ length: Math.ceil(items.length / count) }, (_, i) => items.slice(i * count, (i + 1) * count));
}
