export { lineFinder, parseDatasetConfig } from './config-text.ts';
export { checkDatasetConfig } from './config-check.ts';
export type { CheckedConfig, OptionTable } from './config-check.ts';
export { inheritDatasetOptions, readDatasetConfig } from './dataset-config.ts';
export type { DatasetTable, ReadDatasetConfigOptions } from './dataset-config.ts';
export type { DatasetConfig, ImageDatasetConfig, Size, VideoDatasetConfig } from './dataset-types.ts';
export { datasetOptions, renamedOptions } from './option-table.ts';
export type { DatasetOption, OptionKind, OptionPlace, OptionValue } from './option-table.ts';
export { datasetArchitecture, datasetArchitectures } from './architectures.ts';
export type { DatasetArchitecture } from './architectures.ts';
export { inspectSource } from './sources.ts';
export type { DatasetSource, FolderEntry, SourceFiles, SourceItem } from './sources.ts';
export { datasetMetadata, formatDatasetsMetadata } from './metadata.ts';
export type { DatasetMetadata } from './metadata.ts';
export { bucketList, controlBucket, createBucketSelector } from './buckets.ts';
export type { BucketOptions } from './buckets.ts';
export { createPictureSizes } from './picture-sizes.ts';
export type { PictureSizes } from './picture-sizes.ts';
export { resizeGeometry } from './resize-geometry.ts';
export type { ResizeGeometry } from './resize-geometry.ts';
export { resizeToBucket } from './resize-to-bucket.ts';
export { resizeLanczos } from './lanczos.ts';
export { averageArea } from './area-average.ts';
export { alphaOf, normalizePixels, withoutAlpha } from './pixels.ts';
export type { Box, Pixels } from './pixels.ts';
export { decodeBmp } from './bmp.ts';
export { cachingKey, groupForCaching } from './caching-batches.ts';
export type { CachingBatch } from './caching-batches.ts';
export type { CachingItem, PictureItem, PlannedItem } from './caching-items.ts';
export { describePicture } from './describe-picture.ts';
export { colorDepth, drawPicture } from './draw-picture.ts';
export type { ColorDepth, DrawPictureOptions } from './draw-picture.ts';
export { describeFailures } from './caching-failures.ts';
export type { CachingFailure } from './caching-failures.ts';
export { isLatentCacheName, latentCacheName, parseLatentCacheName, textCacheName } from './cache-names.ts';
export type { LatentCacheName } from './cache-names.ts';
export { cacheContent, withoutDtype } from './cache-keys.ts';
export type { CacheContent } from './cache-keys.ts';
export { bucketKey, compareBucketKeys } from './bucket-key.ts';
export type { BucketKey } from './bucket-key.ts';
export { bucketItems } from './bucket-items.ts';
export type { TrainingItem } from './bucket-items.ts';
export { findItems } from './find-items.ts';
export type { CacheFolder, FindItemsOptions, FoundItems } from './find-items.ts';
export { createBatchOrder } from './batch-order.ts';
export type { BatchOrder, BatchOrderOptions, Bucket, OrderedBatch } from './batch-order.ts';
export { drawTimestepPool } from './timestep-pool.ts';
export type { PoolRandom } from './timestep-pool.ts';
export { mergeCaches, readCache, readCacheKeys } from './read-caches.ts';
export type { OpenCache } from './read-caches.ts';
export { stackItems } from './stack.ts';
export type { BatchTensor, CachedValues, StackedBatch } from './stack.ts';
export { createTrainingData } from './training-data.ts';
export type {
  DatasetSummary,
  PreparedDataset,
  TrainingBatch,
  TrainingData,
  TrainingDataOptions,
} from './training-data.ts';
export { loadTrainingData, readDatasets } from './load-training-data.ts';
export type {
  LoadedDataset,
  LoadTrainingDataOptions,
  ReadDatasetsOptions,
  TrainingFiles,
} from './load-training-data.ts';
export { blobFiles } from './blob-files.ts';
export { DatasetError, datasetErrorCodes } from './errors.ts';
export type { ConfigIssue, DatasetErrorCode, DatasetErrorFacts, DatasetWarning, OnProblem, Warn } from './errors.ts';
