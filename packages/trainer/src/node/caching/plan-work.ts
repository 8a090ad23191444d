import type { CachingDataset } from '@musubi/dataset/node';

import { makeWritableFolder } from '../make-folder.ts';
import { exists } from './cache-files.ts';
import { type CacheOrigin, openJournal } from './journal.ts';
import type { CachingWork } from './run-caching.ts';

export interface PlanWorkOptions<Item, Ready extends Item> {
  readonly dataset: CachingDataset;
  readonly index: number;
  readonly kind: 'latents' | 'texts';
  /** How lines call the items. */
  readonly what: string;
  readonly items: readonly Item[];
  readonly cacheOf: (item: Item) => string;
  readonly originOf: (item: Item) => CacheOrigin;
  /** Everything else that the caches are made from. */
  readonly settings: unknown;
  /** Any cache that is there stays, whatever it was made from. */
  readonly skipExisting: boolean;
  readonly logger: (line: string) => void;
  /** The items to be encoded, as they are encoded together. */
  readonly batches: (isKept: (item: Item) => boolean) => ReturnType<CachingWork<Ready>['batches']>;
}

/** Finds out which items of a dataset are to be encoded, and says so. */
export async function planWork<Item, Ready extends Item>(
  options: PlanWorkOptions<Item, Ready>,
): Promise<CachingWork<Ready>> {
  const { dataset, index, kind, what, items, cacheOf, originOf, settings, skipExisting, logger, batches } = options;
  const { cacheDirectory } = dataset;
  await makeWritableFolder(cacheDirectory, `The cache folder ${cacheDirectory}`, 'cache_directory');
  const journal = await openJournal(cacheDirectory, `wan_${kind}`, settings);
  const kept = new Set<string>();
  for (const item of items) {
    const cache = cacheOf(item);
    const isDone = await journal.isDone(cache, originOf(item));
    if (skipExisting ? await exists(cache) : isDone) kept.add(cache);
  }
  const continued = journal.continues && !skipExisting ? ', done by the run that was stopped' : '';
  logger(`dataset ${index}: ${items.length} ${what}${kept.size > 0 ? `, ${kept.size} with a cache${continued}` : ''}`);
  return {
    dataset,
    kind,
    journal,
    kept: kept.size,
    total: items.length - kept.size,
    cacheOf,
    batches: () => batches((item) => kept.has(cacheOf(item))),
  };
}

/** The parts of all datasets that have items, in their order. */
export async function planAll<Item>(
  datasets: readonly CachingDataset[],
  plan: (dataset: CachingDataset, index: number) => Promise<CachingWork<Item>>,
): Promise<CachingWork<Item>[]> {
  const works: CachingWork<Item>[] = [];
  for (const [index, dataset] of datasets.entries()) {
    if (dataset.items.length > 0) works.push(await plan(dataset, index));
  }
  return works;
}
