import type { CachingDataset } from '@musubi/dataset/node';

import type { CachingJournal } from './journal.ts';
import type { CachingHooks, CachingOutcome } from './hooks.ts';

import { removeCaches } from './cache-files.ts';

/** A dataset's part of a caching run. */
export interface CachingWork<Item> {
  readonly dataset: Pick<CachingDataset, 'staleCaches'>;
  readonly kind: 'latents' | 'texts';
  readonly journal: CachingJournal;
  /** Items whose files stay as they are. */
  readonly kept: number;
  /** Items to be encoded. */
  readonly total: number;
  cacheOf(item: Item): string;
  /** The items to be encoded, as they are encoded together. */
  batches(): AsyncIterable<readonly Item[]> | Iterable<readonly Item[]>;
}

export interface CachingRun<Item> {
  readonly works: readonly CachingWork<Item>[];
  /** Most items encoded at once; null: as many as a batch has. */
  readonly batchSize: number | null;
  readonly keepCache: boolean;
  /** Encodes items and writes their files. */
  write(items: readonly Item[]): Promise<void>;
}

/**
 * Encodes dataset after dataset, batch after batch, then removes the caches that belong to no item any more.
 *
 * An abort is heeded between batches. What is written by then stays, and nothing is removed.
 */
export async function runCaching<Item>(
  { works, batchSize, keepCache, write }: CachingRun<Item>,
  { logger = () => {}, onProgress, signal }: CachingHooks,
): Promise<Omit<CachingOutcome, 'failures'>> {
  const sum = (count: (work: CachingWork<Item>) => number) => works.reduce((all, work) => all + count(work), 0);
  const totalItems = sum((work) => work.total);
  const kept = sum((work) => work.kept);
  let written = 0;
  let removed = 0;
  if (totalItems > 0) onProgress?.({ items: 0, totalItems });

  for (const work of works) {
    if (work.total > 0) {
      for await (const batch of work.batches()) {
        for (const items of slices(batch, batchSize ?? batch.length)) {
          if (signal?.aborted) return { status: 'interrupted', written, kept, removed };
          await write(items);
          await work.journal.add(items.map(work.cacheOf));
          written += items.length;
          onProgress?.({ items: written, totalItems });
        }
      }
    }
    if (signal?.aborted) return { status: 'interrupted', written, kept, removed };
    const stale = await work.dataset.staleCaches(work.kind);
    if (!keepCache) removed += await removeCaches(stale, logger);
    else if (stale.length > 0) logger(`${keptStale(stale.length)} any more`);
    await work.journal.finish();
  }
  return { status: 'finished', written, kept, removed };
}

const keptStale = (count: number): string =>
  count === 1 ? '1 cache file is kept that belongs to no item' : `${count} cache files are kept that belong to no item`;

function slices<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}
