import type { CacheLatentsConfig } from '@musubi/config';
import type { PictureItem, PlannedItem } from '@musubi/dataset';
import type { CachingDataset } from '@musubi/dataset/node';

import { availableParallelism } from 'node:os';

import { wan } from '@musubi/models';
import { writeSafetensorsFile } from '@musubi/safetensors/node';

import type { CachingHooks, CachingOutcome } from './hooks.ts';
import type { CachingWork } from './run-caching.ts';

import { latentCache } from '../../caching/latent-cache.ts';
import { type LatentEncoder, encodePictures } from '../../caching/encode-pictures.ts';
import { factsOf } from './file-facts.ts';
import { openLatentEncoder } from './open-latent-encoder.ts';
import { planAll, planWork } from './plan-work.ts';
import { runCaching } from './run-caching.ts';
import { showPictures } from './show-pictures.ts';
import { withCachingData } from './with-caching-data.ts';

/**
 * Makes the latent caches of a dataset configuration: pictures are decoded and resized in worker threads while those
 * before them are encoded.
 *
 * Paths are relative to the working folder.
 *
 * @throws typed errors of the packages concerned, each with a remedy. Pictures that cannot be read are no error: they are
 *   left out and named in the outcome
 */
export function runCacheLatents(config: CacheLatentsConfig, hooks: CachingHooks = {}): Promise<CachingOutcome> {
  const { logger = () => {} } = hooks;
  const workers = config.numWorkers ?? Math.max(1, availableParallelism() - 1);
  return withCachingData(config, hooks, workers, async (datasets, closing) => {
    if (config.debugMode !== null) {
      await showPictures(datasets, config, hooks);
      return { status: 'finished', written: 0, kept: 0, removed: 0 };
    }
    const { files, open } = await openLatentEncoder(config.vae ?? '', closing, hooks, config);
    const settings = { files: await factsOf(files), dtype: config.vaeDtype };
    const works = await planAll(datasets, (dataset, index) => planDataset(dataset, index, config, settings, logger));
    const write = async (items: readonly PictureItem[]) => writeLatents(items, await open(), config, logger);
    return runCaching({ works, batchSize: config.batchSize, keepCache: config.keepCache, write }, hooks);
  });
}

async function planDataset(
  dataset: CachingDataset,
  index: number,
  { skipExisting }: CacheLatentsConfig,
  settings: object,
  logger: (line: string) => void,
): Promise<CachingWork<PictureItem>> {
  const { items } = await dataset.plan();
  return planWork<PlannedItem, PictureItem>({
    dataset,
    index,
    kind: 'latents',
    what: 'pictures',
    items,
    cacheOf: ({ latentCache: path }) => path,
    originOf: ({ targets, controls }) => ({ files: [...targets, ...controls] }),
    settings: { ...settings, dataset: dataset.config.options },
    skipExisting,
    logger,
    batches: async function* (skip) {
      for await (const batch of dataset.pictureBatches({ skip })) yield batch.items;
    },
  });
}

async function writeLatents(
  items: readonly PictureItem[],
  encoder: LatentEncoder,
  { vaeDtype }: CacheLatentsConfig,
  logger: (line: string) => void,
): Promise<void> {
  const encoded = await encodePictures(items, encoder);
  for (const [i, { latents, control }] of encoded.entries()) {
    const item = items[i];
    if (!item) continue;
    const contents = latentCache({
      architecture: wan.longName,
      originalSize: item.size,
      latents,
      control,
      precision: vaeDtype,
    });
    for (const name of contents.notANumber) logger(`warning: ${item.key}: NaN in ${name} was replaced by 0`);
    await writeSafetensorsFile(item.latentCache, contents.tensors, { metadata: contents.metadata });
  }
}
