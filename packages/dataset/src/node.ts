export { loadDatasetConfig, openTrainingData } from './node/open-training-data.ts';
export type { LoadDatasetConfigOptions, LoadedDataset, OpenTrainingDataOptions } from './node/open-training-data.ts';
export { diskFiles } from './node/disk.ts';
