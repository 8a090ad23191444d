import type { CacheTextConfig } from '@musubi/config';
import type { CachingItem } from '@musubi/dataset';
import type { CachingDataset } from '@musubi/dataset/node';

import { wan } from '@musubi/models';
import { openSafetensorsFile, writeFileAtomic } from '@musubi/safetensors/node';

import type { CacheContents, EncodedValues } from '../../caching/stored-values.ts';
import type { CachingHooks, CachingOutcome } from './hooks.ts';
import type { CachingWork } from './run-caching.ts';

import { encodeTextCache } from '../../caching/text-cache-file.ts';
import { mergeTextCache, textCache } from '../../caching/text-cache.ts';
import { exists } from './cache-files.ts';
import { factsOf } from './file-facts.ts';
import { type CaptionEncoder, openCaptionEncoder } from './open-caption-encoder.ts';
import { planAll, planWork } from './plan-work.ts';
import { runCaching } from './run-caching.ts';
import { withCachingData } from './with-caching-data.ts';

/** Of the tensor of a Wan text cache. */
const content = 'varlen_t5';

/**
 * Makes the text-encoder caches of a dataset configuration.
 *
 * Paths are relative to the working folder.
 *
 * @throws typed errors of the packages concerned, each with a remedy. Captions that cannot be read are no error: their
 *   items are left out and named in the outcome
 */
export function runCacheTexts(config: CacheTextConfig, hooks: CachingHooks = {}): Promise<CachingOutcome> {
  const { logger = () => {} } = hooks;
  return withCachingData(config, hooks, undefined, async (datasets, closing) => {
    const { files, open } = await openCaptionEncoder(config, closing, hooks);
    const settings = { files: await factsOf(files) };
    const works = await planAll(datasets, (dataset, index) => planDataset(dataset, index, config, settings, logger));
    const write = async (items: readonly CachingItem[]) => writeTexts(items, await open(), logger);
    return runCaching({ works, batchSize: config.batchSize, keepCache: config.keepCache, write }, hooks);
  });
}

function planDataset(
  dataset: CachingDataset,
  index: number,
  { skipExisting }: CacheTextConfig,
  settings: object,
  logger: (line: string) => void,
): Promise<CachingWork<CachingItem>> {
  return planWork<CachingItem, CachingItem>({
    dataset,
    index,
    kind: 'texts',
    what: 'captions',
    items: dataset.items,
    cacheOf: ({ textCache: path }) => path,
    originOf: ({ caption }) => ({ text: caption }),
    settings,
    skipExisting,
    logger,
    batches: (isKept) =>
      dataset.textBatches.map((batch) => batch.filter((item) => !isKept(item))).filter((batch) => batch.length > 0),
  });
}

async function writeTexts(
  items: readonly CachingItem[],
  encoder: CaptionEncoder,
  logger: (line: string) => void,
): Promise<void> {
  const embeddings = await encoder.encode(items.map(({ caption }) => caption));
  for (const [i, { key, caption, textCache: path }] of items.entries()) {
    const contents = textCache({
      architecture: wan.longName,
      caption,
      embeddings: { [content]: embeddings[i] as EncodedValues },
      precision: 'bf16',
    });
    for (const name of contents.notANumber) logger(`warning: ${key}: NaN in ${name} was replaced by 0`);
    await writeFileAtomic(path, encodeTextCache(await merged(contents, path, logger)));
  }
}

/** New contents beside what else is in the file. */
async function merged(contents: CacheContents, path: string, logger: (line: string) => void): Promise<CacheContents> {
  if (!(await exists(path))) return contents;
  const existing = await openSafetensorsFile(path).catch(() => null);
  if (!existing) {
    logger(`warning: ${path} cannot be read and is written anew`);
    return contents;
  }
  try {
    const before = existing.metadata['caption1'];
    const after = contents.metadata['caption1'];
    if (before !== after) logger(`${path}: the caption has changed from "${before ?? ''}" to "${after ?? ''}"`);
    return await mergeTextCache(contents, existing, path);
  } finally {
    await existing.close();
  }
}
