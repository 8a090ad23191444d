import type { DatasetConfig, ImageDatasetConfig } from './dataset-types.ts';
import { DatasetError } from './errors.ts';
import type { DatasetSource } from './sources.ts';

// no device holds more
const largestBatch = 65536;

/**
 * Checks what the configuration's own checks leave to the caching commands.
 *
 * @throws {DatasetError} `VIDEO_CACHING_UNSUPPORTED`, `OPTION_OUT_OF_RANGE`, `CAPTION_EXTENSION_MISSING`,
 *   `CAPTION_MISSING`, `JSONL_SYNTAX`
 */
export function assertCachable(config: DatasetConfig, source: DatasetSource, index: number): ImageDatasetConfig {
  const where = `datasets[${index}]`;
  if (config.kind === 'video') {
    const remedy = 'Cache it with musubi-tuner, whose files can be trained on here, in a configuration of its own.';
    throw new DatasetError(
      'VIDEO_CACHING_UNSUPPORTED',
      `${where} is a video dataset; only images can be cached here.`,
      remedy,
    );
  }
  const { batchSize } = config;
  if (!(batchSize >= 1 && batchSize <= largestBatch)) {
    const remedy = `Use a number from 1 to ${largestBatch}.`;
    const facts = { option: 'batch_size', value: batchSize };
    throw new DatasetError('OPTION_OUT_OF_RANGE', `${where}: batch_size = ${batchSize} is no size.`, remedy, facts);
  }
  if (config.imageDirectory === null) assertLinesComplete(config.imageJsonlFile ?? '', source);
  else if (config.captionExtension === null) {
    const what = `${where}: the images in "${config.imageDirectory}" have no captions, because caption_extension is not given.`;
    const remedy = 'Write caption_extension = ".txt" and a text file NAME.txt beside each image.';
    throw new DatasetError('CAPTION_EXTENSION_MISSING', what, remedy, { option: 'caption_extension' });
  }
  return config;
}

function assertLinesComplete(file: string, { items }: DatasetSource): void {
  const nameless = items.findIndex(({ name }) => name === '');
  if (nameless >= 0) {
    const remedy = 'Write one, e.g. {"image_path": "a.png", "caption": "a cat"}.';
    throw new DatasetError('JSONL_SYNTAX', `${file}, line ${nameless + 1} has no image_path.`, remedy, { file });
  }
  const lines = items.flatMap(({ caption }, index) => (caption === undefined ? [index + 1] : []));
  if (lines.length === 0) return;
  const shown = lines.slice(0, 5).join(', ') + (lines.length > 5 ? ` and ${lines.length - 5} more` : '');
  const what = `${file} has no caption in line ${shown}.`;
  throw new DatasetError('CAPTION_MISSING', what, 'Add "caption": "…" with its text, "" for none.', { file });
}

/**
 * Each dataset removes the caches that belong to none of its images, so no two may write into one folder.
 *
 * @param folders whole paths
 * @throws {DatasetError} `DUPLICATE_CACHE_DIRECTORY`
 */
export function assertOwnCacheFolders(folders: readonly string[]): void {
  const other = folders.findIndex((folder, index) => folders.indexOf(folder) !== index);
  if (other < 0) return;
  const folder = folders[other] ?? '';
  const what = `datasets[${folders.indexOf(folder)}] and datasets[${other}] share the cache folder ${folder}.`;
  const remedy = 'Give each its own cache_directory.';
  throw new DatasetError('DUPLICATE_CACHE_DIRECTORY', what, remedy, { option: 'cache_directory', folders: [folder] });
}
