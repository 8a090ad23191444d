import type { CacheConfig } from '@musubi/config';
import type { CachingDataset } from '@musubi/dataset/node';

import { describeFailures } from '@musubi/dataset';
import { openCachingData } from '@musubi/dataset/node';
import { wan } from '@musubi/models';

import type { CachingHooks, CachingOutcome } from './hooks.ts';

import { type Closing, withClosing } from '../../with-closing.ts';

/**
 * Opens the datasets of a configuration for a caching run, tells of the items that were left out, and closes everything.
 *
 * @param workers threads that decode pictures; undefined: one a core
 */
export async function withCachingData(
  { datasetConfig, batchSize }: CacheConfig,
  { logger = () => {} }: CachingHooks,
  workers: number | undefined,
  use: (datasets: readonly CachingDataset[], closing: Closing) => Promise<Omit<CachingOutcome, 'failures'>>,
): Promise<CachingOutcome> {
  const data = await openCachingData({
    datasetConfigPath: datasetConfig,
    architecture: wan,
    commandLine: batchSize === null ? {} : { batch_size: batchSize },
    workers,
    logger,
  });
  return withClosing(async (closing) => {
    closing.push(() => data.close());
    const outcome = await use(data.datasets, closing);
    if (data.failures.length > 0) logger(describeFailures(data.failures));
    return { ...outcome, failures: data.failures };
  });
}
