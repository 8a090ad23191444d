import { pythonFloat } from '@musubi/config';

import type { DatasetConfig } from './dataset-types.ts';
import { lastPathPart } from './internal/file-names.ts';
import { datasetOptions, type OptionValue } from './option-table.ts';

/** What a saved adapter records about one dataset (an entry of `ss_datasets`). Folders are cut to their last part. */
export type DatasetMetadata = Readonly<Record<string, OptionValue>>;

/** The record of one dataset, in the order of the original's entries. */
export function datasetMetadata(config: DatasetConfig, hasControl: boolean): DatasetMetadata {
  const { options } = config;
  const as = (name: string): OptionValue => options[name] ?? null;
  const entry: Record<string, OptionValue> = {
    resolution: as('resolution'),
    caption_extension: as('caption_extension'),
    batch_size_per_device: as('batch_size'),
    num_repeats: as('num_repeats'),
    enable_bucket: config.enableBucket,
    bucket_no_upscale: config.bucketNoUpscale,
  };
  for (const name of sourceOptions[config.kind]) {
    const path = options[name];
    if (typeof path === 'string') entry[name] = lastPathPart(path);
  }
  if (config.kind === 'video') {
    entry['frame_extraction'] = config.frameExtraction;
    entry['frame_stride'] = as('frame_stride');
    entry['frame_sample'] = as('frame_sample');
    entry['target_frames'] = config.targetFrames;
    entry['max_frames'] = as('max_frames');
    entry['source_fps'] = config.sourceFps;
  }
  entry['has_control'] = hasControl;
  return entry;
}

const sourceOptions = {
  image: ['image_directory', 'image_jsonl_file', 'control_directory'],
  video: ['video_directory', 'video_jsonl_file', 'control_directory'],
} as const;

/** The text of `ss_datasets`: JSON as Python writes it, with spaces, ASCII escapes and `30.0` for a float. */
export function formatDatasetsMetadata(entries: readonly DatasetMetadata[]): string {
  const objects = entries.map((entry) => {
    const fields = Object.entries(entry).map(([name, value]) => `${quote(name)}: ${formatValue(name, value)}`);
    return `{${fields.join(', ')}}`;
  });
  return `[${objects.join(', ')}]`;
}

const floatOptions = new Set(datasetOptions.filter(({ kind }) => kind === 'float').map(({ name }) => name));

function formatValue(name: string, value: OptionValue): string {
  if (Array.isArray(value)) return `[${value.join(', ')}]`;
  if (typeof value === 'string') return quote(value);
  if (typeof value === 'number' && floatOptions.has(name)) return formatFloat(value);
  return String(value);
}

/** `30.0`, `1e-05`; JSON as Python writes it has names for what is no number. */
function formatFloat(value: number): string {
  if (Number.isFinite(value)) return pythonFloat(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity';
}

function quote(text: string): string {
  return JSON.stringify(text).replace(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
