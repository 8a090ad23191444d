import { resolve } from 'node:path';

import { assertCachable, assertOwnCacheFolders } from '../assert-cachable.ts';
import { type CachingFailure, createFailureLog } from '../caching-failures.ts';
import { withOwnTextCaches } from '../caching-items.ts';
import { reportEmptyDatasets } from '../empty-datasets.ts';
import { attempt, type OnProblem, type Warn } from '../errors.ts';
import type { OptionValue } from '../option-table.ts';
import { cacheDirectoryOf } from '../cache-directory.ts';
import { type CachingDataset, createCachingDataset } from './caching-dataset.ts';
import { diskFiles, locate } from './disk.ts';
import { loadDatasetConfig } from './open-training-data.ts';
import { createPicturePool } from './picture-pool.ts';
import { keyOf, readCachingItems } from './read-caching-items.ts';

export interface OpenCachingDataOptions {
  readonly datasetConfigPath: string;
  readonly architecture: { readonly shortName: string; readonly longName: string };
  /** Command line options of the same names: `batch_size` counts where the file gives none. */
  readonly commandLine?: Readonly<Record<string, OptionValue>>;
  /** Threads that decode pictures, default one a core. */
  readonly workers?: number | undefined;
  /** Gets one line a warning. */
  readonly logger?: ((line: string) => void) | undefined;
  /** Where relative paths start, default the process's working directory. */
  readonly workingDirectory?: string;
  /** Default: the logger gets its message. */
  readonly warn?: Warn;
  /** Told of mistakes that leave others to be found; a dataset with one is left out then. */
  readonly onProblem?: OnProblem | undefined;
}

/** All datasets of a configuration, ready to make caches of. */
export interface CachingData {
  readonly datasets: readonly CachingDataset[];
  /** Images left out so far, in the order of the datasets: by their captions, by `plan` and by `pictureBatches`. */
  readonly failures: readonly CachingFailure[];
  /** Ends the decoding threads. */
  close(): Promise<void>;
}

/**
 * Opens the image datasets of a configuration to make their caches. Captions are read, pictures are not yet.
 *
 * @throws {DatasetError} `NO_IMAGES`, `CAPTION_EXTENSION_MISSING`, `CAPTION_MISSING`, `VIDEO_CACHING_UNSUPPORTED`, `DUPLICATE_CACHE_FILE`,
 *   `DUPLICATE_CACHE_DIRECTORY`, `CACHE_DIRECTORY_MISSING`, `OPTION_OUT_OF_RANGE`, and those of `loadDatasetConfig`
 */
export async function openCachingData(options: OpenCachingDataOptions): Promise<CachingData> {
  const { datasetConfigPath, architecture, commandLine, logger, workingDirectory, onProblem } = options;
  const warn: Warn = options.warn ?? (({ message }) => logger?.(message));
  const loaded = await loadDatasetConfig({
    datasetConfigPath,
    architecture: architecture.shortName,
    warn,
    onProblem,
    ...(commandLine ? { commandLine } : {}),
    ...(workingDirectory === undefined ? {} : { workingDirectory }),
  });
  const checked = loaded.map(({ config, source }, index) =>
    attempt(onProblem, () => ({
      cacheDirectory: locate(cacheDirectoryOf(config, index), workingDirectory),
      config: assertCachable(config, source, index),
      source,
    })),
  );
  const sources = (await Promise.all(checked)).filter((one) => one !== null);
  assertOwnCacheFolders(sources.map(({ cacheDirectory }) => resolve(cacheDirectory)));
  await reportEmptyDatasets(sources, diskFiles(workingDirectory), warn);

  const log = createFailureLog(sources.map(({ config, source }) => source.items.map((item) => keyOf(config, item))));
  const pool = createPicturePool(options.workers);
  const datasets: CachingDataset[] = [];
  for (const [datasetIndex, { config, source, cacheDirectory }] of sources.entries()) {
    const unreadable: string[] = [];
    const items = await readCachingItems({
      config,
      items: source.items,
      cacheDirectory,
      workingDirectory,
      fail: (key, file, error) => {
        unreadable.push(key);
        log.add({ datasetIndex, key, file, error });
      },
    });
    const fail = (key: string, file: string, error: CachingFailure['error']) =>
      log.add({ datasetIndex, key, file, error });
    const own = withOwnTextCaches(items, config, warn);
    datasets.push(createCachingDataset({ config, cacheDirectory, items: own, pool, unreadable, fail }));
  }
  return {
    datasets,
    get failures() {
      return log.list();
    },
    close: () => pool.close(),
  };
}
