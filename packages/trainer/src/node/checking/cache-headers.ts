import type { CachedValues, PreparedDataset, TrainingBatch, TrainingItem } from '@musubi/dataset';
import type { Architecture } from '@musubi/models';
import type { TensorStore } from '@musubi/safetensors';

import { mergeCaches, stackItems } from '@musubi/dataset';
import { openSafetensorsFile } from '@musubi/safetensors/node';

import type { Collector } from './collect.ts';

import { microBatchFeeds } from '../../micro-batch.ts';

/** The headers of an item's caches. */
interface ItemHeaders {
  readonly item: TrainingItem;
  /** Values are zeros. */
  readonly tensors: readonly CachedValues[];
}

/**
 * Reads the headers of all caches and finds those that are damaged, of another model, or that the model will refuse.
 *
 * @param config of the model; null when it is not known, and nothing is compared with it
 */
export async function checkCacheHeaders<Config>(
  collector: Collector,
  datasets: readonly PreparedDataset[],
  architecture: Architecture<Config>,
  config: Config | null,
): Promise<void> {
  const zeros = zeroValues();
  const seen = new Set<string>();
  for (const { items, config: dataset } of datasets) {
    const first = new Map<string, ItemHeaders>();
    for (const item of items) {
      const tensors = await readItem(collector, item, architecture, zeros);
      if (tensors === null) continue;
      const headers = { item, tensors };
      const bucket = JSON.stringify(item.bucketKey);
      const other = first.get(bucket) ?? headers;
      first.set(bucket, other);
      const shapes = JSON.stringify([headers, other].map((of) => of.tensors.map(({ key, shape }) => [key, shape])));
      if (seen.has(shapes)) continue;
      seen.add(shapes);
      await collector.attempt(() => {
        const { stacked, lists } = stackItems(
          other === headers || dataset.batchSize === 1 ? [tensors] : [other.tensors, tensors],
        );
        if (config === null || other !== headers) return;
        const batch: TrainingBatch = {
          datasetIndex: 0,
          bucket: [],
          bucketKey: item.bucketKey,
          items: [item],
          stacked,
          lists,
          timesteps: null,
        };
        const noise = new Float32Array(stacked.get('latents')?.data.length ?? 0);
        const t = new Float32Array(1);
        microBatchFeeds(batch, noise, t, t, { architecture, config, weightingScheme: 'none' });
      });
    }
  }
}

async function readItem(
  collector: Collector,
  { latentCache, textCache }: TrainingItem,
  { longName }: Pick<Architecture, 'longName'>,
  zeros: (count: number) => Float32Array,
): Promise<CachedValues[] | null> {
  const read = async (file: string) =>
    collector.attempt(
      async () => {
        const store = await openSafetensorsFile(file);
        try {
          refuseOtherModel(collector, store, file, longName);
          return [...store.tensors.values()].map(({ name: key, dtype, shape }) => ({
            file,
            key,
            dtype,
            shape,
            data: zeros(shape.reduce((product, axis) => product * axis, 1)),
          }));
        } finally {
          await store.close();
        }
      },
      { file },
    );
  const latents = await read(latentCache);
  const text = await read(textCache);
  return latents && text && mergeCaches(latents, text);
}

function refuseOtherModel(
  collector: Collector,
  { metadata }: Pick<TensorStore, 'metadata'>,
  file: string,
  expected: string,
): void {
  const found = metadata['architecture'];
  if (found === undefined || found === expected) return;
  collector.error(
    'CACHE_OF_OTHER_MODEL',
    { file },
    `The cache ${file} is of the model "${found}", not of "${expected}".`,
    'Give each model its own cache_directory, or make the caches again.',
  );
}

/** Views of one array, which is as long as the longest asked for. */
function zeroValues(): (count: number) => Float32Array {
  let longest = new Float32Array(0);
  return (count) => {
    if (count > longest.length) longest = new Float32Array(count);
    return longest.subarray(0, count);
  };
}
