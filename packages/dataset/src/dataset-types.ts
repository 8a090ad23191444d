import type { DatasetArchitecture } from './architectures.ts';
import type { OptionTable } from './config-check.ts';

/** Width and height in pixels. */
export type Size = readonly [width: number, height: number];

/** What image and video datasets have in common. */
export interface CommonConfig {
  /** Options after inheritance, under the names and with the values of the file. */
  readonly options: OptionTable;
  readonly architecture: DatasetArchitecture;
  readonly resolution: Size;
  readonly captionExtension: string | null;
  readonly batchSize: number;
  readonly numRepeats: number;
  readonly enableBucket: boolean;
  /** False whenever bucketing is off. */
  readonly bucketNoUpscale: boolean;
  /** The image or video folder when not given; null: a JSONL file without cache folder. */
  readonly cacheDirectory: string | null;
  readonly controlDirectory: string | null;
  readonly fpLatentWindowSize: number;
}

export interface ImageDatasetConfig extends CommonConfig {
  readonly kind: 'image';
  readonly imageDirectory: string | null;
  readonly imageJsonlFile: string | null;
  readonly multipleTarget: boolean;
  readonly fp1fCleanIndices: readonly number[] | null;
  readonly fp1fTargetIndex: number | null;
  readonly fp1fNoPost: boolean;
  readonly noResizeControl: boolean;
  readonly controlResolution: Size | null;
  /** Control images an image must have; null: as many as there are. */
  readonly controlCountPerImage: number | null;
}

export interface VideoDatasetConfig extends CommonConfig {
  readonly kind: 'video';
  readonly videoDirectory: string | null;
  readonly videoJsonlFile: string | null;
  /** Ascending, each 4n + 1. */
  readonly targetFrames: readonly number[];
  readonly frameExtraction: string;
  readonly frameStride: number;
  readonly frameSample: number;
  readonly maxFrames: number;
  readonly sourceFps: number | null;
  readonly targetFps: number;
}

export type DatasetConfig = ImageDatasetConfig | VideoDatasetConfig;
