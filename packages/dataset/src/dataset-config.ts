import { type DatasetArchitecture, datasetArchitecture } from './architectures.ts';
import { checkDatasetConfig, type OptionTable } from './config-check.ts';
import type { CommonConfig, DatasetConfig, ImageDatasetConfig, Size, VideoDatasetConfig } from './dataset-types.ts';
import { type ConfigIssue, DatasetError, type OnProblem, type Warn } from './errors.ts';
import { type OptionValue, optionsOf } from './option-table.ts';

export interface ReadDatasetConfigOptions {
  /** Name of the file, for messages. */
  readonly file?: string;
  /** The line of the file that an issue is about, for messages; see `lineFinder`. */
  readonly lineOf?: (path: ConfigIssue['path']) => number | undefined;
  /** Command line options of the same names: used where the file gives nothing. */
  readonly commandLine?: Readonly<Record<string, OptionValue>>;
  readonly warn?: Warn;
  /** Told of the mistakes of all datasets but one, which is thrown. */
  readonly onProblem?: OnProblem | undefined;
}

/** Options of one dataset after inheritance. */
export interface DatasetTable {
  readonly kind: 'image' | 'video';
  readonly options: OptionTable;
}

/**
 * Checks a parsed configuration and gives every dataset all its options: its own, else those of `[general]`, else the
 * command line's, else the default. `false` and `0` are values.
 *
 * @param parsed what `parseDatasetConfig` returns
 * @throws {DatasetError} `CONFIG_INVALID`
 */
export function inheritDatasetOptions(parsed: unknown, options: ReadDatasetConfigOptions = {}): DatasetTable[] {
  const { general, datasets } = checkDatasetConfig(parsed, options.file, options.warn, options.lineOf);
  return datasets.map(({ options: own }) => {
    const kind = 'image_directory' in own || 'image_jsonl_file' in own ? 'image' : 'video';
    const names = [...optionsOf(kind).values()];
    const find = (name: string, value: OptionValue) =>
      own[name] ?? general[name] ?? options.commandLine?.[name] ?? value;
    return { kind, options: Object.fromEntries(names.map((row) => [row.name, find(row.name, row.default)])) };
  });
}

/**
 * Reads a parsed configuration (`parseDatasetConfig`) into datasets. No file is opened.
 *
 * @param architecture short name, e.g. `wan`
 * @throws {DatasetError} `CONFIG_INVALID`, `UNKNOWN_ARCHITECTURE`, `NO_SOURCE`, `EMPTY_TARGET_FRAMES`,
 *   `VIDEO_DATASET_UNSUPPORTED_FOR_ARCHITECTURE`, `DUPLICATE_CACHE_DIRECTORY`, `NO_DATASETS`
 */
export function readDatasetConfig(
  parsed: unknown,
  architecture: string,
  options: ReadDatasetConfigOptions = {},
): DatasetConfig[] {
  const model = datasetArchitecture(architecture);
  const tables = inheritDatasetOptions(parsed, options);
  const datasets = mapReporting(
    tables,
    ({ kind, options: table }, index) =>
      kind === 'image' ? imageDataset(table, model) : videoDataset(table, model, index, options.warn),
    options.onProblem,
  );
  const file = options.file ?? 'The dataset configuration';
  if (datasets.length === 0) {
    const remedy = 'Add a table [[datasets]] with image_directory or video_directory.';
    throw new DatasetError('NO_DATASETS', `${file} has no dataset.`, remedy, { file });
  }
  assertOwnCacheDirectories(datasets, file);
  return datasets;
}

function mapReporting<T, U>(items: readonly T[], map: (item: T, index: number) => U, onProblem?: OnProblem): U[] {
  const errors: DatasetError[] = [];
  const made = items.flatMap((item, index) => {
    try {
      return [map(item, index)];
    } catch (error) {
      if (!(error instanceof DatasetError)) throw error;
      errors.push(error);
      return [];
    }
  });
  const [first, ...others] = errors;
  if (first === undefined) return made;
  if (onProblem) others.forEach(onProblem);
  throw first;
}

function imageDataset(options: OptionTable, architecture: DatasetArchitecture): ImageDatasetConfig {
  const directory = text(options, 'image_directory');
  const cleanIndices = integers(options, 'fp_1f_clean_indices');
  const counts = { any: null, one: 1, 'clean indices': cleanIndices?.length ?? 1 };
  return {
    kind: 'image',
    ...common(options, architecture, directory),
    imageDirectory: directory,
    imageJsonlFile: text(options, 'image_jsonl_file'),
    multipleTarget: options['multiple_target'] === true,
    fp1fCleanIndices: cleanIndices,
    fp1fTargetIndex: options['fp_1f_target_index'] === null ? null : integer(options, 'fp_1f_target_index'),
    fp1fNoPost: options['fp_1f_no_post'] === true,
    noResizeControl: options['no_resize_control'] === true,
    controlResolution: size(options, 'control_resolution'),
    controlCountPerImage: counts[architecture.controlsPerImage],
  };
}

function videoDataset(
  options: OptionTable,
  architecture: DatasetArchitecture,
  index: number,
  warn?: Warn,
): VideoDatasetConfig {
  const directory = text(options, 'video_directory');
  const jsonl = text(options, 'video_jsonl_file');
  const where = `datasets[${index}]`;
  if (architecture.videoFps === null) {
    const what = `${where} is a video dataset, which ${architecture.longName} does not train on.`;
    throw new DatasetError('VIDEO_DATASET_UNSUPPORTED_FOR_ARCHITECTURE', what, 'Use image_directory.');
  }
  if (directory === null && jsonl === null) {
    const remedy = 'Give image_directory, image_jsonl_file, video_directory or video_jsonl_file.';
    throw new DatasetError('NO_SOURCE', `${where} names neither images nor videos.`, remedy);
  }
  const frameSample = integer(options, 'frame_sample');
  let frameExtraction = text(options, 'frame_extraction') ?? 'head';
  if (frameExtraction === 'uniform' && frameSample === 1) {
    frameExtraction = 'head';
    const message = `${where}: frame_extraction = "uniform" with frame_sample = 1 is "head": write that, or more samples.`;
    warn?.({ code: 'UNIFORM_WITH_ONE_SAMPLE_BECOMES_HEAD', message });
  }
  const targetFrames = roundTargetFrames(integers(options, 'target_frames') ?? [], where, warn);
  if (frameExtraction === 'head' && targetFrames.length === 0) {
    const remedy = 'Give lengths in frames, e.g. target_frames = [1, 25].';
    throw new DatasetError('EMPTY_TARGET_FRAMES', `${where}.target_frames is empty.`, remedy, {
      option: 'target_frames',
    });
  }
  return {
    kind: 'video',
    ...common(options, architecture, directory),
    videoDirectory: directory,
    videoJsonlFile: jsonl,
    targetFrames,
    frameExtraction,
    frameStride: integer(options, 'frame_stride'),
    frameSample,
    maxFrames: integer(options, 'max_frames'),
    sourceFps: typeof options['source_fps'] === 'number' ? options['source_fps'] : null,
    targetFps: architecture.videoFps,
  };
}

function common(options: OptionTable, architecture: DatasetArchitecture, source: string | null): CommonConfig {
  const enableBucket = options['enable_bucket'] === true;
  return {
    options,
    architecture,
    resolution: size(options, 'resolution') ?? [960, 544],
    captionExtension: text(options, 'caption_extension'),
    batchSize: integer(options, 'batch_size'),
    numRepeats: integer(options, 'num_repeats'),
    enableBucket,
    bucketNoUpscale: enableBucket && options['bucket_no_upscale'] === true,
    cacheDirectory: text(options, 'cache_directory') ?? source,
    controlDirectory: text(options, 'control_directory'),
    fpLatentWindowSize: integer(options, 'fp_latent_window_size'),
  };
}

/** Video autoencoders take 4n + 1 frames: lengths are rounded down to that, sorted, without duplicates. */
function roundTargetFrames(frames: readonly number[], where: string, warn?: Warn): number[] {
  const wanted = ascending(frames);
  const rounded = ascending(wanted.map((count) => Math.floor((count - 1) / 4) * 4 + 1));
  if (wanted.join() !== rounded.join()) {
    const message = `${where}.target_frames [${wanted.join(', ')}] becomes [${rounded.join(', ')}]: use 4n + 1 frames.`;
    warn?.({ code: 'TARGET_FRAMES_ROUNDED', message });
  }
  return rounded;
}

function ascending(values: readonly number[]): number[] {
  return [...new Set(values)].toSorted((a, b) => a - b);
}

/** Two datasets in one folder would delete each other's caches. Folders are compared as written. */
function assertOwnCacheDirectories(datasets: readonly DatasetConfig[], file: string): void {
  const seen = new Map<string | null, number>();
  datasets.forEach(({ cacheDirectory }, index) => {
    const other = seen.get(cacheDirectory);
    seen.set(cacheDirectory, index);
    if (other === undefined) return;
    const what =
      cacheDirectory === null
        ? `${file}: datasets[${other}] and datasets[${index}] have no cache_directory.`
        : `${file}: datasets[${other}] and datasets[${index}] share the cache folder "${cacheDirectory}".`;
    throw new DatasetError('DUPLICATE_CACHE_DIRECTORY', what, 'Give each its own cache_directory.', {
      option: 'cache_directory',
      value: cacheDirectory,
    });
  });
}

function text(options: OptionTable, name: string): string | null {
  const value = options[name];
  return typeof value === 'string' ? value : null;
}

function integer(options: OptionTable, name: string): number {
  return Number(options[name]);
}

function integers(options: OptionTable, name: string): number[] | null {
  const value = options[name];
  return Array.isArray(value) ? value.map(Number) : null;
}

function size(options: OptionTable, name: string): Size | null {
  const [width, height] = integers(options, name) ?? [];
  return width === undefined || height === undefined ? null : [width, height];
}
