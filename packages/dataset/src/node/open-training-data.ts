import { join } from 'node:path';

import { openSafetensorsFile } from '@musubi/safetensors/node';

import {
  type LoadedDataset,
  loadTrainingData,
  type LoadTrainingDataOptions,
  readDatasets,
  type ReadDatasetsOptions,
} from '../load-training-data.ts';
import type { TrainingData } from '../training-data.ts';
import { diskFiles, locate } from './disk.ts';

export interface LoadDatasetConfigOptions extends ReadDatasetsOptions {
  /** Where relative paths start, default the process's working directory. */
  readonly workingDirectory?: string;
}

/**
 * Reads a dataset configuration (.toml or .json) and lists what the datasets consist of. Pixels and caches are not read.
 *
 * @throws {DatasetError} of `parseDatasetConfig`, `readDatasetConfig` and `inspectSource`
 */
export function loadDatasetConfig({
  workingDirectory,
  ...options
}: LoadDatasetConfigOptions): Promise<LoadedDataset[]> {
  return readDatasets(options, diskFiles(workingDirectory));
}

export interface OpenTrainingDataOptions extends LoadTrainingDataOptions {
  /** Where relative paths start, default the process's working directory. */
  readonly workingDirectory?: string;
}

/**
 * Opens all datasets of a configuration for training from their latent and text-encoder caches.
 *
 * @throws {DatasetError} `NO_TRAINING_ITEMS`, `CACHE_DIRECTORY_MISSING`, `CACHE_NAME`, `CACHE_UNREADABLE`,
 *   `OPTION_OUT_OF_RANGE`, and those of `loadDatasetConfig`
 */
export function openTrainingData({ workingDirectory, ...options }: OpenTrainingDataOptions): Promise<TrainingData> {
  return loadTrainingData(options, {
    ...diskFiles(workingDirectory),
    pathOf: (folder, name) => join(locate(folder, workingDirectory), name),
    openCache: openSafetensorsFile,
  });
}
