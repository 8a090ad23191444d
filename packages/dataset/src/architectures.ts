import { DatasetError } from './errors.ts';

/** What a dataset has to know about a model. */
export interface DatasetArchitecture {
  /** As in cache file names: `clip_wan_te.safetensors`. */
  readonly shortName: string;
  /** As in the metadata of cache files. */
  readonly longName: string;
  /** Sides of buckets are multiples of this, in pixels. */
  readonly bucketStep: number;
  /** Frames per second videos are converted to; null: no video datasets. */
  readonly videoFps: number | null;
  /** Images are bucketed by latent window size and clean indices too. */
  readonly bucketsByWindow: boolean;
  /** Control images an image has: as many as `fp_1f_clean_indices`, exactly one, or any number. */
  readonly controlsPerImage: 'clean indices' | 'one' | 'any';
  /** Target images keep their alpha channel. */
  readonly keepsAlpha: boolean;
}

const rows = [
  ['hv', 'hunyuan_video', 24, false, 'one'],
  ['wan', 'wan', 16, true, 'clean indices'],
  ['fp', 'framepack', 30, true, 'clean indices'],
  ['fk', 'flux_kontext', 1, false, 'one'],
  ['qi', 'qwen_image', null, false, 'one'],
  ['qie', 'qwen_image', null, false, 'any'],
  ['qil', 'qwen_image', null, false, 'one'],
] as const;

/** Architectures by short name. */
export const datasetArchitectures: ReadonlyMap<string, DatasetArchitecture> = new Map(
  rows.map(([shortName, longName, videoFps, bucketsByWindow, controlsPerImage]) => [
    shortName,
    {
      shortName,
      longName,
      bucketStep: 16,
      videoFps,
      bucketsByWindow,
      controlsPerImage,
      keepsAlpha: shortName === 'qil',
    },
  ]),
);

/** @throws {DatasetError} `UNKNOWN_ARCHITECTURE` */
export function datasetArchitecture(shortName: string): DatasetArchitecture {
  const architecture = datasetArchitectures.get(shortName);
  if (architecture) return architecture;
  throw new DatasetError(
    'UNKNOWN_ARCHITECTURE',
    `"${shortName}" is not the short name of an architecture.`,
    `Known: ${[...datasetArchitectures.keys()].join(', ')}.`,
    { value: shortName },
  );
}
