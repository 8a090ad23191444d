import type { CacheConfig, CacheLatentsConfig, CacheTextConfig } from '@musubi/config';
import type { CachingDataset } from '@musubi/dataset/node';

import { openCachingData } from '@musubi/dataset/node';
import { umt5, wan, wanVae } from '@musubi/models';

import type { Finding } from '../../findings.ts';

import { type Closing, withClosing } from '../../with-closing.ts';
import { openCaptionEncoder } from '../caching/open-caption-encoder.ts';
import { openLatentEncoder } from '../caching/open-latent-encoder.ts';
import { makeWritableFolder, removeFolders } from '../make-folder.ts';
import { type Collector, createCollector } from './collect.ts';
import { checkDiskSpace } from './disk-space.ts';

/** As `checkTraining`, for a run that makes latent caches: the headers of VAE and pictures are read. */
export function checkCacheLatents(config: CacheLatentsConfig): Promise<readonly Finding[]> {
  return checkCaching(
    config,
    async (collector, closing) => {
      const { vae } = config;
      if (vae) await collector.attempt(() => openLatentEncoder(vae, closing, {}), { option: 'vae' });
    },
    async (dataset) => {
      const { items } = await dataset.plan();
      const { latentChannels } = wanVae.published;
      const bytes = config.vaeDtype === 'fp32' ? 4 : 2;
      const latents = (area: number) => (area / wanVae.compression.sides ** 2) * latentChannels * bytes;
      return items.reduce((sum, { bucket: [width, height] }) => sum + latents(width * height), 0);
    },
  );
}

/** As `checkTraining`, for a run that makes text caches: headers of the text encoder, its tokenizer and captions are read. */
export function checkCacheTexts(config: CacheTextConfig): Promise<readonly Finding[]> {
  return checkCaching(
    config,
    async (collector, closing) => {
      if (config.t5 === '') return;
      const isOffline = isSet(process.env['HF_HUB_OFFLINE']) || isSet(process.env['TRANSFORMERS_OFFLINE']);
      // A check fetches nothing.
      const environment = { ...process.env, HF_HUB_OFFLINE: '1' };
      try {
        await openCaptionEncoder(config, closing, {}, environment);
      } catch (error) {
        const isToFetch = config.tokenizer === null && !isOffline && codeOf(error) === 'TOKENIZER_NOT_FOUND';
        if (!isToFetch) await collector.attempt(() => Promise.reject(error), { option: 't5' });
        else {
          const message = 'The tokenizer of google/umt5-xxl is not on this machine and will be fetched from the hub.';
          const remedy = 'Give its folder as --tokenizer where the hub cannot be reached.';
          collector.warn('TOKENIZER_NOT_FOUND', { option: 'tokenizer' }, message, remedy);
        }
      }
    },
    async ({ items }) => {
      const { width } = umt5.published;
      return items.reduce((sum, { caption }) => sum + mostTokens(caption) * width * 2, 0);
    },
  );
}

/** A piece of text has at least one byte. */
const mostTokens = (caption: string): number => Math.min(512, Buffer.byteLength(caption) + 2);

const isSet = (value: string | undefined): boolean => /^(1|ON|YES|TRUE)$/i.test(value ?? '');

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : null);

async function checkCaching(
  { datasetConfig, batchSize }: CacheConfig,
  checkModel: (collector: Collector, closing: Closing) => Promise<void>,
  bytesOf: (dataset: CachingDataset) => Promise<number>,
): Promise<readonly Finding[]> {
  const collector = createCollector();
  await withClosing(async (closing) => {
    await checkModel(collector, closing);
    if (datasetConfig !== '') {
      const place = { option: 'dataset_config', file: datasetConfig };
      const { caught: onProblem, warning: warn } = collector;
      const commandLine = batchSize === null ? {} : { batch_size: batchSize };
      const given = { datasetConfigPath: datasetConfig, architecture: wan, workers: 1, commandLine, warn, onProblem };
      const data = await collector.attempt(() => openCachingData(given), place);
      if (data) {
        closing.push(() => data.close());
        for (const dataset of data.datasets) await checkFolder(collector, dataset, bytesOf);
        for (const { error } of data.failures) collector.caught(error);
      }
    }
  });
  return collector.findings;
}

async function checkFolder(
  collector: Collector,
  dataset: CachingDataset,
  bytesOf: (dataset: CachingDataset) => Promise<number>,
): Promise<void> {
  const { cacheDirectory: folder } = dataset;
  const option = 'cache_directory';
  const bytes = await collector.attempt(() => bytesOf(dataset));
  const made = await collector.attempt(() => makeWritableFolder(folder, `The cache folder ${folder}`, option));
  if (made) await removeFolders(made);
  if (made && bytes !== null) await checkDiskSpace(collector, { folder, bytes, what: 'The caches', option });
}
