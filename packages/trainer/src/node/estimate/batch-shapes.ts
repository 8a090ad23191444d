import type { TrainConfig } from '@musubi/config';
import type { Architecture } from '@musubi/models';
import type { DatasetSummary, TrainingData } from '@musubi/dataset';

import { openCachingData, openTrainingData } from '@musubi/dataset/node';

/** Batches of one size that a run will see. */
export interface BatchShape {
  readonly datasetIndex: number;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  /** 1 for pictures. */
  readonly frames: number;
  readonly batchSize: number;
  readonly batchesPerEpoch: number;
}

/** What a run will train on, from headers alone. */
export interface RunShapes {
  /** Whether the caches are there; else sizes are those of the pictures. */
  readonly source: 'caches' | 'pictures';
  readonly data: TrainingData;
  readonly shapes: readonly BatchShape[];
}

/**
 * The buckets of a run: of its caches or, where there are none yet, of its pictures.
 *
 * @throws {DatasetError}
 */
export async function readBatchShapes<Config>(
  config: Pick<TrainConfig, 'datasetConfig'>,
  architecture: Architecture<Config>,
  logger: (line: string) => void,
): Promise<RunShapes> {
  try {
    const data = await openTrainingData({
      datasetConfigPath: config.datasetConfig,
      architecture,
      datasetSeed: 0,
      logger,
    });
    return { source: 'caches', data, shapes: data.datasets.flatMap(shapesOf) };
  } catch (error) {
    if (!isNothingCached(error)) throw error;
    const data = await planned(config.datasetConfig, architecture);
    if (data.batchesPerEpoch === 0) throw error;
    return { source: 'pictures', data, shapes: data.datasets.flatMap(shapesOf) };
  }
}

const isNothingCached = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'NO_TRAINING_ITEMS';

function shapesOf({ config, buckets }: DatasetSummary, datasetIndex: number): BatchShape[] {
  return buckets.flatMap(({ key, count }) => {
    const [width = 0, height = 0, third = 1] = key.map(Number);
    const size = { datasetIndex, width, height, frames: config.kind === 'video' ? third : 1 };
    const [full, rest] = [Math.floor(count / config.batchSize), count % config.batchSize];
    return [
      ...(full > 0 ? [{ ...size, batchSize: config.batchSize, batchesPerEpoch: full }] : []),
      ...(rest > 0 ? [{ ...size, batchSize: rest, batchesPerEpoch: 1 }] : []),
    ];
  });
}

/** Training data as it will be once the caches are made, by the headers of the pictures. It has no batches to load. */
async function planned(
  datasetConfigPath: string,
  architecture: Pick<Architecture, 'shortName' | 'longName'>,
): Promise<TrainingData> {
  const caching = await openCachingData({ datasetConfigPath, architecture });
  try {
    const datasets: DatasetSummary[] = [];
    for (const { config, plan } of caching.datasets) {
      const counts = new Map<string, { width: number; height: number; count: number }>();
      for (const { bucket } of (await plan()).items) {
        const [width, height] = bucket;
        const count = (counts.get(bucket.join('x'))?.count ?? 0) + config.numRepeats;
        counts.set(bucket.join('x'), { width, height, count });
      }
      const buckets = [...counts.values()].map(({ width, height, count }) => ({ key: [width, height], count }));
      datasets.push({
        config,
        buckets,
        numItems: buckets.reduce((sum, { count }) => sum + count, 0),
        batchesPerEpoch: buckets.reduce((sum, { count }) => sum + Math.ceil(count / config.batchSize), 0),
      });
    }
    const sum = (of: (dataset: DatasetSummary) => number) =>
      datasets.reduce((total, dataset) => total + of(dataset), 0);
    return {
      datasets,
      numTrainItems: sum(({ numItems }) => numItems),
      batchesPerEpoch: sum(({ batchesPerEpoch }) => batchesPerEpoch),
      metadata: [],
      metadataJson: '[]',
      epoch: () => {
        throw new Error('internal: an estimate trains on nothing.');
      },
    };
  } finally {
    await caching.close();
  }
}
