import { TorchGenerator } from '@musubi/random';

import { type BatchOrder, createBatchOrder, type OrderedBatch } from './batch-order.ts';
import type { BucketKey } from './bucket-key.ts';
import { assertTimestepBuckets, assertTrainable, bucketItems, type TrainingItem } from './bucket-items.ts';
import type { DatasetConfig } from './dataset-types.ts';
import type { Warn } from './errors.ts';
import { readAhead } from './internal/read-ahead.ts';
import { type DatasetMetadata, datasetMetadata, formatDatasetsMetadata } from './metadata.ts';
import { mergeCaches, type OpenCache, readCache } from './read-caches.ts';
import { type BatchTensor, stackItems } from './stack.ts';

/** One batch: what the model sees in one call. */
export interface TrainingBatch {
  readonly datasetIndex: number;
  /** Width and height in pixels, for videos also frames. */
  readonly bucket: readonly number[];
  /** All that the items have in common, see `BucketKey`. */
  readonly bucketKey: BucketKey;
  readonly items: readonly TrainingItem[];
  /** By content name, items along the first axis, e.g. `latents` `[B, 16, F, H, W]`. */
  readonly stacked: ReadonlyMap<string, BatchTensor>;
  /** By content name, one tensor an item, e.g. `t5` `[L, 4096]`. */
  readonly lists: ReadonlyMap<string, readonly BatchTensor[]>;
  /** One value in [0, 1] an item from the timestep pool, or null. */
  readonly timesteps: readonly number[] | null;
}

export interface DatasetSummary {
  readonly config: DatasetConfig;
  /** Items an epoch, repeats counted. */
  readonly numItems: number;
  readonly batchesPerEpoch: number;
  /** Buckets by ascending key with their items, repeats counted. */
  readonly buckets: readonly { readonly key: BucketKey; readonly count: number }[];
}

/** All datasets of a run, ready to be trained on. */
export interface TrainingData {
  readonly datasets: readonly DatasetSummary[];
  /** Items an epoch, repeats counted. */
  readonly numTrainItems: number;
  readonly batchesPerEpoch: number;
  /** `ss_datasets` of a saved adapter, one entry a dataset. */
  readonly metadata: readonly DatasetMetadata[];
  /** The same as the text that is saved. */
  readonly metadataJson: string;
  /**
   * The batches of an epoch, counted from 1, all datasets mixed. The call draws two 63-bit integers from `generator`: the
   * loader's own seed (used by worker processes, of which there are none) and the seed of the order. The files of the
   * next batch are read while the current one is in use.
   *
   * @throws {DatasetError} while iterating: `CACHE_UNREADABLE`, `CACHE_NOT_FINITE`, `BATCH_MIXED_SHAPES`,
   *   `BATCH_MIXED_DTYPES`, `CACHE_DUPLICATE_CONTENT`
   */
  epoch(epoch: number, generator: TorchGenerator): AsyncIterable<TrainingBatch>;
}

export interface PreparedDataset {
  readonly config: DatasetConfig;
  readonly hasControl: boolean;
  /** In the order of their latent cache files. */
  readonly items: readonly TrainingItem[];
}

export interface TrainingDataOptions {
  readonly datasetSeed: number;
  readonly numTimestepBuckets?: number | undefined;
  readonly openCache: OpenCache;
  readonly warn?: Warn | undefined;
}

/**
 * Buckets the items of all datasets and orders their batches.
 *
 * @throws {DatasetError} `OPTION_OUT_OF_RANGE`
 */
export function createTrainingData(prepared: readonly PreparedDataset[], options: TrainingDataOptions): TrainingData {
  const { datasetSeed, numTimestepBuckets, openCache } = options;
  const warnOnce = onlyOnce(options.warn);
  assertTimestepBuckets(numTimestepBuckets);
  const orders: BatchOrder<TrainingItem>[] = [];
  const datasets = prepared.map(({ config, items }, index): DatasetSummary => {
    assertTrainable(config, items.length, index);
    const buckets = bucketItems(items, config.numRepeats);
    const order = createBatchOrder(buckets, { batchSize: config.batchSize, datasetSeed, numTimestepBuckets });
    orders.push(order);
    const counts = order.unshuffled().map(({ key }) => buckets.findIndex((bucket) => bucket.key === key));
    const sorted = [...new Set(counts)].flatMap((i) => buckets[i] ?? []);
    return {
      config,
      numItems: items.length * config.numRepeats,
      batchesPerEpoch: order.batchCount,
      buckets: sorted.map(({ key, items: members }) => ({ key, count: members.length })),
    };
  });
  const metadata = prepared.map(({ config, hasControl }) => datasetMetadata(config, hasControl));

  async function load({ datasetIndex, key, items, timesteps }: PlannedBatch): Promise<TrainingBatch> {
    const paths = new Set(items.flatMap(({ latentCache, textCache }) => [latentCache, textCache]));
    const contents = new Map(
      await Promise.all([...paths].map(async (path) => [path, await readCache(path, openCache)] as const)),
    );
    const of = (path: string) => contents.get(path) ?? [];
    const { stacked, lists, incomplete } = stackItems(
      items.map(({ latentCache, textCache }) => mergeCaches(of(latentCache), of(textCache))),
    );
    for (const { name } of incomplete) warnOnce(name, datasetIndex);
    const bucket = key.slice(0, prepared[datasetIndex]?.config.kind === 'video' ? 3 : 2).map(Number);
    return { datasetIndex, bucket, bucketKey: key, items, stacked, lists, timesteps };
  }

  return {
    datasets,
    numTrainItems: datasets.reduce((sum, { numItems }) => sum + numItems, 0),
    batchesPerEpoch: datasets.reduce((sum, { batchesPerEpoch }) => sum + batchesPerEpoch, 0),
    metadata,
    metadataJson: formatDatasetsMetadata(metadata),
    epoch: (epoch, generator) => {
      const batches = orders.flatMap((order, datasetIndex) =>
        order.epoch(epoch).map((batch): PlannedBatch => ({ ...batch, datasetIndex })),
      );
      generator.randomInt63();
      const order = new TorchGenerator(generator.randomInt63()).randperm(batches.length);
      const planned = order.flatMap((index) => batches[index] ?? []);
      return readAhead(planned, load);
    },
  };
}

type PlannedBatch = OrderedBatch<TrainingItem> & { readonly datasetIndex: number };

/** Warns about a content that some items of a batch lack, once for each content of a dataset. */
function onlyOnce(warn: Warn | undefined): (name: string, datasetIndex: number) => void {
  const told = new Set<string>();
  return (name, datasetIndex) => {
    const id = `${datasetIndex} ${name}`;
    if (told.has(id)) return;
    told.add(id);
    const message =
      `datasets[${datasetIndex}]: some items of a batch have no "${name}" in their caches, so it does not line up with ` +
      'the others. Make the caches of this dataset again with the same options.';
    warn?.({ code: 'CONTENT_MISSING_IN_ITEM', message });
  };
}
