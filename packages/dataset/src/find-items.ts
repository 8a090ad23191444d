import type { TrainingItem } from './bucket-items.ts';
import { bucketKey } from './bucket-key.ts';
import { createBucketSelector } from './buckets.ts';
import { isLatentCacheName, parseLatentCacheName, textCacheName } from './cache-names.ts';
import type { DatasetConfig } from './dataset-types.ts';
import { attempt, DatasetError, type OnProblem, type Warn } from './errors.ts';
import { mapInOrder } from './internal/in-order.ts';
import { compareText } from './internal/text-order.ts';
import { type OpenCache, readCacheKeys } from './read-caches.ts';

/** A cache folder and what is in it. */
export interface CacheFolder {
  readonly path: string;
  /** File names in any order; null when the folder does not exist. */
  readonly names: readonly string[] | null;
  /** Path of a file in it. */
  pathOf(name: string): string;
}

export interface FindItemsOptions {
  readonly openCache: OpenCache;
  readonly warn?: Warn | undefined;
  /** Told of caches that cannot be used, which are left out then. */
  readonly onProblem?: OnProblem | undefined;
}

export interface FoundItems {
  /** In the order of their latent cache files' paths. */
  readonly items: readonly TrainingItem[];
  /** What was looked at and found, for the message when a run has no items at all. */
  readonly report: string;
}

/**
 * Finds a dataset's items: latent caches in the order of their names that have a text cache beside them. Latents without
 * one are left out with a warning. The headers of image caches are read, because control images count for the bucket.
 *
 * @throws {DatasetError} `CACHE_NAME`, `CACHE_UNREADABLE`, `OPTION_OUT_OF_RANGE`
 */
export async function findItems(
  config: DatasetConfig,
  folder: CacheFolder,
  { openCache, warn, onProblem }: FindItemsOptions,
): Promise<FoundItems> {
  const { shortName, bucketStep } = config.architecture;
  const selectBucket = createBucketSelector({ ...config, step: bucketStep });
  const names = new Set(folder.names ?? []);
  const latents = [...names].filter((name) => isLatentCacheName(name, shortName)).toSorted(compareText);

  const found: { name: string; item: ReturnType<typeof parseLatentCacheName> }[] = [];
  for (const name of latents) {
    const item = await attempt(onProblem, () => parseLatentCacheName(name, config.kind, folder.pathOf(name)));
    if (item === null) continue;
    const text = textCacheName(item.base, shortName);
    if (names.has(text)) found.push({ name, item });
    else {
      const message = `${folder.pathOf(name)} is left out: it has no text cache ${text} beside it. Cache the text encoder's outputs.`;
      warn?.({ code: 'TEXT_CACHE_MISSING', message });
    }
  }
  const items = await mapInOrder(found, async ({ name, item }): Promise<TrainingItem | null> => {
    const latentCache = folder.pathOf(name);
    const keys = config.kind === 'image' ? await attempt(onProblem, () => readCacheKeys(latentCache, openCache)) : [];
    if (keys === null) return null;
    const key = bucketKey(config, selectBucket([item.width, item.height]), item, keys);
    const textCache = folder.pathOf(textCacheName(item.base, shortName));
    return { key: item.base, latentCache, textCache, bucketKey: key };
  });
  return { items: items.filter((item) => item !== null), report: report(folder, shortName, latents.length) };
}

/** @throws {DatasetError} `NO_TRAINING_ITEMS`, with the folders that were looked in */
export function assertAnyItems(
  found: readonly (FoundItems & { readonly folder: string })[],
  architecture: string,
): void {
  if (found.some(({ items }) => items.length > 0)) return;
  const what =
    `There is nothing to train on: no *_${architecture}.safetensors with its *_${textCacheName('', architecture).slice(1)}. ` +
    `Looked in ${found.map(({ report: text }) => text).join('; ')}.`;
  const remedy = 'Cache latents and text encoder outputs with this dataset configuration, or correct cache_directory.';
  throw new DatasetError('NO_TRAINING_ITEMS', what, remedy, { folders: found.map(({ folder }) => folder) });
}

function report({ path, names }: CacheFolder, architecture: string, latents: number): string {
  if (names === null) return `"${path}", which does not exist`;
  if (latents > 0) return `"${path}": ${latents} latent caches, none with its text cache`;
  const texts = names.filter((name) => name.endsWith(textCacheName('', architecture))).length;
  const pattern = /_\d+x\d+_([a-z0-9]+)\.safetensors$/;
  const others = new Set(names.flatMap((name) => pattern.exec(name)?.[1] ?? []));
  const more = others.size > 0 ? `, but caches of ${[...others].toSorted().join(', ')}` : '';
  return `"${path}": no latent cache, ${texts} text caches${more}`;
}
