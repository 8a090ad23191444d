import type { ImageDatasetConfig } from './dataset-types.ts';
import { DatasetError, type Warn } from './errors.ts';
import { imageExtensions } from './image-folder.ts';
import { extensionOf } from './internal/file-names.ts';
import type { DatasetSource, SourceFiles } from './sources.ts';

interface Dataset {
  readonly config: ImageDatasetConfig;
  readonly source: DatasetSource;
}

/**
 * Reports datasets without images: an error when there is no other, else a warning each. Images that are left out for want of a
 * caption are a warning as well.
 *
 * @throws {DatasetError} `NO_IMAGES`, which says where was looked, for what, and what is there instead
 */
export async function reportEmptyDatasets(datasets: readonly Dataset[], files: SourceFiles, warn: Warn): Promise<void> {
  const reports = new Map<number, string>();
  for (const [index, { config, source }] of datasets.entries()) {
    if (source.items.length === 0) reports.set(index, await report(config, source, files));
    else if (source.uncaptioned)
      warn({ code: 'CAPTION_MISSING', message: uncaptioned(index, config, source.uncaptioned) });
  }
  if (reports.size === datasets.length) {
    const what = `There are no images to cache. Looked in ${[...reports.values()].join('; ')}.`;
    const folders = datasets.map(({ config }) => config.imageDirectory ?? config.imageJsonlFile ?? '');
    const remedy = datasets.some(({ source }) => source.uncaptioned)
      ? 'Write the captions, or correct caption_extension.'
      : 'Correct image_directory or image_jsonl_file, or add images.';
    throw new DatasetError('NO_IMAGES', what, remedy, { folders });
  }
  for (const [index, text] of reports) {
    const message = `datasets[${index}] has no images. Looked in ${text}. Correct or remove it.`;
    warn({ code: 'DATASET_EMPTY', message });
  }
}

async function report(config: ImageDatasetConfig, source: DatasetSource, files: SourceFiles): Promise<string> {
  const folder = config.imageDirectory;
  if (folder === null) return `"${config.imageJsonlFile}", which has no line`;
  const entries = await files.list(folder);
  if (entries === null) return `"${folder}", which does not exist`;
  if (source.uncaptioned) {
    const count = source.uncaptioned.length;
    return `"${folder}": ${count} image${count === 1 ? '' : 's'}, none with a caption NAME${config.captionExtension} beside it`;
  }
  const visible = entries.filter(({ name, isFolder }) => !isFolder && !name.startsWith('.'));
  const found = new Set(visible.map(({ name }) => extensionOf(name) || name));
  const instead = [...found].filter((extension) => extension !== config.captionExtension).toSorted();
  const shown = instead.slice(0, 5).join(' ') + (instead.length > 5 ? ' …' : '');
  const wanted = imageExtensions.filter((extension) => extension === extension.toLowerCase()).join(' ');
  return `"${folder}" for ${wanted} (all lower or all upper case)${shown ? `; there are only ${shown}` : ''}`;
}

function uncaptioned(index: number, config: ImageDatasetConfig, names: readonly string[]): string {
  const shown = names.slice(0, 5).join(', ') + (names.length > 5 ? ` and ${names.length - 5} more` : '');
  const [images, them, are] =
    names.length === 1 ? ['1 image has', 'it', 'is'] : [`${names.length} images have`, 'them', 'are'];
  return `datasets[${index}]: ${images} no caption NAME${config.captionExtension} beside ${them} and ${are} left out: ${shown}.`;
}
