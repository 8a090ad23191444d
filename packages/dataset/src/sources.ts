import type { DatasetConfig } from './dataset-types.ts';
import { readImageFolder } from './image-folder.ts';
import { readImageJsonl, readVideoJsonl } from './jsonl.ts';
import { readVideoFolder } from './video-folder.ts';

/** The file access that looking at a source needs; `./node` brings one for the disk. */
export interface SourceFiles {
  /** What is in a folder, or null when it does not exist. */
  list(folder: string): Promise<readonly FolderEntry[] | null>;
  /** @throws {DatasetError} `FILE_NOT_FOUND`, `FILE_UNREADABLE` */
  readText(file: string): Promise<string>;
}

export interface FolderEntry {
  readonly name: string;
  readonly isFolder: boolean;
}

/** One image or video of a dataset with what belongs to it: names in its folder, or paths as a JSONL file gives them. */
export interface SourceItem {
  readonly name: string;
  /** Further target images, in order. */
  readonly targets: readonly string[];
  /** Control images, or one control video, in order. */
  readonly controls: readonly string[];
  /** As a JSONL file gives it; undefined where it gives none, and for items of a folder. */
  readonly caption?: string | undefined;
}

export interface DatasetSource {
  readonly items: readonly SourceItem[];
  readonly hasControl: boolean;
  /** Images of a folder that are left out because they have no caption and are no further target either. */
  readonly uncaptioned?: readonly string[];
}

/**
 * Lists a dataset's images or videos and matches target and control images to them by name. Pixels are not read, and a
 * folder that does not exist has no items.
 *
 * @throws {DatasetError} `FILE_NOT_FOUND`, `JSONL_SYNTAX`, `MULTIPLE_TARGET_COUNT_MISMATCH`, `MULTIPLE_TARGET_MISSING`,
 *   `MISSING_CONTROL_IMAGES`, `NOT_ENOUGH_CONTROL_IMAGES`, `INVALID_DIGITS_SUFFIX`
 */
export async function inspectSource(config: DatasetConfig, files: SourceFiles): Promise<DatasetSource> {
  if (config.kind === 'image') {
    if (config.imageDirectory !== null) return readImageFolder(config, config.imageDirectory, files);
    const file = config.imageJsonlFile ?? '';
    return readImageJsonl(await files.readText(file), file, config);
  }
  if (config.videoDirectory !== null) return readVideoFolder(config, config.videoDirectory, files);
  const file = config.videoJsonlFile ?? '';
  return readVideoJsonl(await files.readText(file), file);
}
