import { cacheDirectoryOf } from './cache-directory.ts';
import { lineFinder, parseDatasetConfig } from './config-text.ts';
import { readDatasetConfig } from './dataset-config.ts';
import type { DatasetConfig } from './dataset-types.ts';
import { attempt, type DatasetError, type OnProblem, type Warn } from './errors.ts';
import { assertAnyItems, findItems, type FoundItems } from './find-items.ts';
import type { OptionValue } from './option-table.ts';
import type { OpenCache } from './read-caches.ts';
import { type DatasetSource, inspectSource, type SourceFiles } from './sources.ts';
import { createTrainingData, type PreparedDataset, type TrainingData } from './training-data.ts';

export interface ReadDatasetsOptions {
  readonly datasetConfigPath: string;
  /** Short name as in cache files, e.g. `wan`. */
  readonly architecture: string;
  /** Command line options of the same names, e.g. `batch_size` of the caching commands. */
  readonly commandLine?: Readonly<Record<string, OptionValue>>;
  readonly warn?: Warn;
  /** Told of mistakes that leave others to be found; a dataset with one has no items then. */
  readonly onProblem?: OnProblem | undefined;
}

export interface LoadedDataset {
  readonly config: DatasetConfig;
  readonly source: DatasetSource;
}

/**
 * Reads a dataset configuration (.toml or .json) and lists what the datasets consist of. Pixels and caches are not read.
 *
 * @throws {DatasetError} of `parseDatasetConfig`, `readDatasetConfig` and `inspectSource`
 */
export async function readDatasets(options: ReadDatasetsOptions, files: SourceFiles): Promise<LoadedDataset[]> {
  const { datasetConfigPath: file, architecture, commandLine, warn, onProblem } = options;
  if (!/\.(toml|json)$/i.test(file)) parseDatasetConfig('', file); // refused before it is looked for
  const text = await files.readText(file);
  const parsed = parseDatasetConfig(text, file);
  const configs = readDatasetConfig(parsed, architecture, {
    file,
    lineOf: lineFinder(text, file),
    ...(commandLine ? { commandLine } : {}),
    ...(warn ? { warn } : {}),
    onProblem,
  });
  const datasets: LoadedDataset[] = [];
  for (const config of configs) {
    const source = await attempt(onProblem, () => inspectSource(config, files));
    datasets.push({ config, source: source ?? { items: [], hasControl: false } });
  }
  return datasets;
}

/** The file access of training. */
export interface TrainingFiles extends SourceFiles {
  /** The path under which `openCache` opens a file of a folder. */
  pathOf(folder: string, name: string): string;
  readonly openCache: OpenCache;
}

export interface LoadTrainingDataOptions {
  readonly datasetConfigPath: string;
  readonly architecture: { readonly shortName: string; readonly longName: string };
  /** First `randint(0, 2^31)` of Python's generator seeded with `--seed`. */
  readonly datasetSeed: number;
  /** `--num_timestep_buckets` */
  readonly numTimestepBuckets?: number | undefined;
  /** Gets one line a warning. */
  readonly logger?: ((line: string) => void) | undefined;
}

/**
 * Opens all datasets of a configuration for training from their latent and text-encoder caches, wherever these lie:
 * `blobFiles` has files that a page was given.
 *
 * @throws {DatasetError} `NO_TRAINING_ITEMS`, `CACHE_DIRECTORY_MISSING`, `CACHE_NAME`, `CACHE_UNREADABLE`,
 *   `OPTION_OUT_OF_RANGE`, and those of reading the configuration
 */
export async function loadTrainingData(options: LoadTrainingDataOptions, files: TrainingFiles): Promise<TrainingData> {
  const { datasetConfigPath, architecture, datasetSeed, numTimestepBuckets, logger } = options;
  const warn: Warn = ({ message }) => logger?.(message);
  const prepared = await prepareDatasets({ datasetConfigPath, architecture, warn }, files);
  return createTrainingData(prepared, { datasetSeed, numTimestepBuckets, openCache: files.openCache, warn });
}

export interface PrepareDatasetsOptions extends Pick<LoadTrainingDataOptions, 'datasetConfigPath' | 'architecture'> {
  readonly warn: Warn;
  /** Told of mistakes that leave others to be found; what they are about is left out then. */
  readonly onProblem?: OnProblem | undefined;
}

/**
 * The items of all datasets, for `createTrainingData`. Of image caches the headers are read.
 *
 * @throws {DatasetError} as `loadTrainingData`
 */
export async function prepareDatasets(
  { datasetConfigPath, architecture, warn, onProblem }: PrepareDatasetsOptions,
  files: TrainingFiles,
): Promise<PreparedDataset[]> {
  const { openCache } = files;
  let failures = 0;
  const noted = onProblem && ((error: DatasetError) => (failures++, onProblem(error)));
  const loaded = await readDatasets(
    { datasetConfigPath, architecture: architecture.shortName, warn, onProblem: noted },
    files,
  );

  const found: (FoundItems & { readonly folder: string })[] = [];
  for (const [index, { config }] of loaded.entries()) {
    const items = await attempt(noted, async () => {
      const path = cacheDirectoryOf(config, index);
      const names = (await files.list(path))?.filter(({ isFolder }) => !isFolder).map(({ name }) => name) ?? null;
      const pathOf = (name: string) => files.pathOf(path, name);
      const of = await findItems(config, { path, names, pathOf }, { openCache, warn, onProblem: noted });
      return { ...of, folder: path };
    });
    found.push(items ?? { items: [], report: 'a dataset that cannot be used', folder: '' });
  }
  // what was told of already leaves nothing to train on, but not for want of caches
  if (failures === 0) assertAnyItems(found, architecture.shortName);
  for (const [index, { items, report }] of found.entries()) {
    if (items.length > 0 || failures > 0) continue;
    const message = `datasets[${index}] has nothing to train on. Looked in ${report}. Make its caches or remove it.`;
    warn({ code: 'DATASET_EMPTY', message });
  }
  return loaded.map(({ config, source }, index) => ({
    config,
    hasControl: source.hasControl,
    items: found[index]?.items ?? [],
  }));
}
