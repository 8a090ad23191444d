import type { CacheLatentsConfig } from '@musubi/config';
import type { PictureItem, PlannedItem } from '@musubi/dataset';
import type { CachingDataset } from '@musubi/dataset/node';

import { availableParallelism } from 'node:os';

import { describeFailures } from '@musubi/dataset';
import { openCachingData } from '@musubi/dataset/node';
import { wan } from '@musubi/models';
import { writeSafetensorsFile } from '@musubi/safetensors/node';

import type { Closing } from '../open-parts.ts';
import type { CachingHooks, CachingOutcome } from './hooks.ts';
import type { CachingWork } from './run-caching.ts';

import { latentCache } from '../../caching/latent-cache.ts';
import { type LatentEncoder, encodePictures } from '../../caching/encode-pictures.ts';
import { factsOf } from './file-facts.ts';
import { openLatentEncoder } from './open-latent-encoder.ts';
import { planWork } from './plan-work.ts';
import { runCaching } from './run-caching.ts';
import { showPictures } from './show-pictures.ts';

/**
 * Makes the latent caches of a dataset configuration: pictures are decoded and resized in worker threads while those
 * before them are encoded.
 *
 * Paths are relative to the working folder.
 *
 * @throws typed errors of the packages concerned, each with a remedy. Pictures that cannot be read are no error: they are
 *   left out and named in the outcome
 */
export async function runCacheLatents(config: CacheLatentsConfig, hooks: CachingHooks = {}): Promise<CachingOutcome> {
  const { logger = () => {}, signal } = hooks;
  const data = await openCachingData({
    datasetConfigPath: config.datasetConfig,
    architecture: wan,
    commandLine: config.batchSize === null ? {} : { batch_size: config.batchSize },
    workers: config.numWorkers ?? Math.max(1, availableParallelism() - 1),
    logger,
  });
  const closing: Closing = [() => data.close()];
  try {
    if (config.debugMode !== null) {
      await showPictures(data.datasets, config, hooks);
      if (data.failures.length > 0) logger(describeFailures(data.failures));
      return { status: 'finished', written: 0, kept: 0, removed: 0, failures: data.failures };
    }
    const { files, open } = await openLatentEncoder(config.vae ?? '', closing, hooks);
    const settings = { files: await factsOf(files), dtype: config.vaeDtype };
    const works: CachingWork<PictureItem>[] = [];
    for (const [index, dataset] of data.datasets.entries()) {
      if (dataset.items.length > 0) works.push(await planDataset(dataset, index, config, settings, logger));
    }
    const isIdle = works.every(({ total }) => total === 0);
    const encoder = isIdle || signal?.aborted ? null : await open();

    const run = {
      works,
      batchSize: config.batchSize,
      keepCache: config.keepCache,
      write: (items: readonly PictureItem[]) => writeLatents(items, encoder, config, logger),
    };
    const outcome = await runCaching(run, hooks);
    if (data.failures.length > 0) logger(describeFailures(data.failures));
    return { ...outcome, failures: data.failures };
  } finally {
    for (const close of closing.toReversed()) await close();
  }
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
  encoder: LatentEncoder | null,
  { vaeDtype }: CacheLatentsConfig,
  logger: (line: string) => void,
): Promise<void> {
  if (!encoder) return;
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
