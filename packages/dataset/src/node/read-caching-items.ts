import { join } from 'node:path';

import { textCacheName } from '../cache-names.ts';
import type { CachingItem } from '../caching-items.ts';
import type { ImageDatasetConfig } from '../dataset-types.ts';
import { DatasetError } from '../errors.ts';
import { baseName, withoutExtension } from '../internal/file-names.ts';
import { mapInOrder } from '../internal/in-order.ts';
import { captionFromFile } from '../internal/python-text.ts';
import type { SourceItem } from '../sources.ts';
import { locate, readText } from './disk.ts';

export interface ReadCachingItemsOptions {
  readonly config: ImageDatasetConfig;
  readonly items: readonly SourceItem[];
  readonly cacheDirectory: string;
  readonly workingDirectory?: string | undefined;
  /** Told of images whose caption cannot be read; these are left out. */
  fail(key: string, file: string, error: DatasetError): void;
}

/** Reads the captions of a dataset's images and names all their files. */
export async function readCachingItems(options: ReadCachingItemsOptions): Promise<CachingItem[]> {
  const { config, cacheDirectory, workingDirectory, fail } = options;
  const pathIn = (folder: string | null) => (name: string) =>
    locate(folder === null ? name : join(folder, name), workingDirectory);
  // lists hold paths, folders names
  const inImages = pathIn(config.imageDirectory);
  const inControls = pathIn(config.imageDirectory === null ? null : config.controlDirectory);

  const items = await mapInOrder(options.items, async (source): Promise<CachingItem | null> => {
    const key = keyOf(config, source);
    const file = inImages(withoutExtension(source.name) + (config.captionExtension ?? ''));
    try {
      return {
        key,
        caption: source.caption ?? captionFromFile(await readText(file, true)),
        targets: [source.name, ...source.targets].map(inImages),
        controls: source.controls.map(inControls),
        textCache: join(cacheDirectory, textCacheName(baseName(key), config.architecture.shortName)),
      };
    } catch (error) {
      if (!(error instanceof DatasetError)) throw error;
      fail(key, file, error);
      return null;
    }
  });
  return items.filter((item) => item !== null);
}

/** Path of an image as the configuration gives it. */
export function keyOf({ imageDirectory }: ImageDatasetConfig, { name }: SourceItem): string {
  return imageDirectory === null ? name : join(imageDirectory, name);
}
