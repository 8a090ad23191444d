import type { CacheLatentsConfig } from '@musubi/config';
import type { CachingDataset } from '@musubi/dataset/node';

import { colorDepth, describePicture } from '@musubi/dataset';

import type { CachingHooks } from './hooks.ts';

/** `--debug_mode console`: the pictures of each dataset as text, in the sizes in which they would be encoded. */
export async function showPictures(
  datasets: readonly CachingDataset[],
  { consoleWidth, consoleNumImages }: CacheLatentsConfig,
  { logger = () => {}, show = logger, isTerminal = false, signal }: CachingHooks,
): Promise<void> {
  const color = colorDepth(process.env, isTerminal);
  for (const [index, dataset] of datasets.entries()) {
    show(`Dataset ${index}\n`);
    let left = consoleNumImages ?? Number.POSITIVE_INFINITY;
    for await (const { items } of dataset.pictureBatches()) {
      for (const item of items.slice(0, left)) {
        if (signal?.aborted) return;
        show(`${describePicture(item, { width: consoleWidth, color })}\n`);
      }
      left -= items.length;
      if (left <= 0) break;
    }
  }
}
