import { join } from 'node:path';

import { openSafetensorsFile } from '@musubi/safetensors/node';

import {
  type LoadedDataset,
  loadTrainingData,
  type LoadTrainingDataOptions,
  prepareDatasets,
  type PrepareDatasetsOptions,
  readDatasets,
  type ReadDatasetsOptions,
  type TrainingFiles,
} from '../load-training-data.ts';
import type { PreparedDataset, TrainingData } from '../training-data.ts';
import { diskFiles, locate } from './disk.ts';

interface OnDisk {
  /** Where relative paths start, default the process's working directory. */
  readonly workingDirectory?: string;
}

export interface LoadDatasetConfigOptions extends ReadDatasetsOptions, OnDisk {}

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

export interface OpenTrainingDataOptions extends LoadTrainingDataOptions, OnDisk {}

/**
 * Opens all datasets of a configuration for training from their latent and text-encoder caches.
 *
 * @throws {DatasetError} `NO_TRAINING_ITEMS`, `CACHE_DIRECTORY_MISSING`, `CACHE_NAME`, `CACHE_UNREADABLE`,
 *   `OPTION_OUT_OF_RANGE`, and those of `loadDatasetConfig`
 */
export function openTrainingData({ workingDirectory, ...options }: OpenTrainingDataOptions): Promise<TrainingData> {
  return loadTrainingData(options, trainingFiles(workingDirectory));
}

export interface FindTrainingDataOptions extends PrepareDatasetsOptions, OnDisk {}

/**
 * The items of all datasets, for `createTrainingData`. Of image caches the headers are read.
 *
 * @throws {DatasetError} as `openTrainingData`
 */
export function findTrainingData({
  workingDirectory,
  ...options
}: FindTrainingDataOptions): Promise<PreparedDataset[]> {
  return prepareDatasets(options, trainingFiles(workingDirectory));
}

function trainingFiles(workingDirectory: string | undefined): TrainingFiles {
  return {
    ...diskFiles(workingDirectory),
    pathOf: (folder, name) => join(locate(folder, workingDirectory), name),
    openCache: openSafetensorsFile,
  };
}
