import type { DeviceChoice } from './to-device.ts';
import type { SavePrecision } from './train-config.ts';

/** What both caching commands have in common. Paths are as the user wrote them, relative to the working folder. */
export interface CacheConfig {
  /** TOML or JSON file that describes the datasets. */
  readonly datasetConfig: string;
  /** Items encoded at once, at most; null: as many as the dataset's batches have. */
  readonly batchSize: number | null;
  readonly skipExisting: boolean;
  /** Keep cache files that belong to no item any more. */
  readonly keepCache: boolean;
  readonly device: DeviceChoice;
  /** End the run when the device leaves operators to the CPU. */
  readonly strictDevice: boolean;
}

/** All settings of `cache_latents`, checked. */
export interface CacheLatentsConfig extends CacheConfig {
  /** VAE checkpoint; only null when `debugMode` is set. */
  readonly vae: string | null;
  /** Number type in which latents are stored. */
  readonly vaeDtype: SavePrecision;
  /** Threads that decode pictures; null: one less than there are processors. */
  readonly numWorkers: number | null;
  /** Show the items instead of encoding them. */
  readonly debugMode: 'console' | null;
  readonly consoleWidth: number;
  /** Pictures of a dataset to show; null: all. */
  readonly consoleNumImages: number | null;
}

/** All settings of `cache_text_encoder_outputs`, checked. */
export interface CacheTextConfig extends CacheConfig {
  /** Text encoder checkpoint. */
  readonly t5: string;
  /** Folder of the tokenizer; null: found by the checkpoint. */
  readonly tokenizer: string | null;
}
