export { findTrainingData, loadDatasetConfig, openTrainingData } from './node/open-training-data.ts';
export type {
  FindTrainingDataOptions,
  LoadDatasetConfigOptions,
  OpenTrainingDataOptions,
} from './node/open-training-data.ts';
export type { LoadedDataset } from './load-training-data.ts';
export { openCachingData } from './node/open-caching-data.ts';
export type { CachingData, OpenCachingDataOptions } from './node/open-caching-data.ts';
export type { CachingDataset, CachingPlan } from './node/caching-dataset.ts';
export { diskFiles } from './node/disk.ts';
