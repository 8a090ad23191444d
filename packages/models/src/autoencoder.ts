import type { Graph, HostTensor, ParameterSource } from '@musubi/onnx-graph';

import type { CheckpointModel } from './weights.ts';

/**
 * All that caching and sampling know of a model between pictures and latents.
 *
 * Shapes: `B` items, `F, H, W` frames, rows and columns of pixels, `C, f, h, w` channels, frames, rows and columns of
 * latents.
 */
export interface Autoencoder<Config> extends CheckpointModel<Config> {
  /** The configuration of the published checkpoint. */
  readonly published: Config;
  readonly compression: Compression;
  /** `C` */
  latentChannels(config: Config): number;
  /**
   * Nothing is loaded before the first call of {@link ImageEncoder.encode}; until {@link ImageEncoder.close}, sessions
   * are kept.
   *
   * @param weights e.g. `source(…)` of `resolveWeights`
   */
  createEncoder(weights: ParameterSource, config: Config, open: OpenGraph): ImageEncoder;
  /** The same for {@link ImageDecoder}. */
  createDecoder(weights: ParameterSource, config: Config, open: OpenGraph): ImageDecoder;
}

/** How many pixels become one latent. Frames: the first alone, then so many a latent frame: `f = 1 + ⌊(F − 1)/frames⌋`. */
export interface Compression {
  readonly frames: number;
  /** Rows, and columns. */
  readonly sides: number;
}

/** Makes a session of a graph, whose weights lie in the files of the checkpoint. */
export type OpenGraph = (graph: Graph, label: string) => Promise<OpenedGraph>;

export interface OpenedGraph {
  run(feeds: Readonly<Record<string, HostTensor>>): Promise<Record<string, HostTensor>>;
  release(): Promise<void>;
}

export interface ImageEncoder {
  /**
   * Items are encoded one after another, so memory is that of one.
   *
   * @param pixels float32 `[B, 3, F, H, W]` from −1 to 1, `H` and `W` multiples of `compression.sides`; frames that do
   *   not fill a latent frame are ignored
   * @returns normalized latents, float32 `[B, C, f, h, w]`
   * @throws {ModelError} `BAD_BATCH` when the shape is another, and what `open` throws
   */
  encode(pixels: HostTensor): Promise<HostTensor>;
  /** Releases all sessions. */
  close(): Promise<void>;
}

export interface ImageDecoder {
  /**
   * @param latents normalized, float32 `[B, C, f, h, w]`
   * @returns pixels from −1 to 1, float32 `[B, 3, F, H, W]`, `F = 1 + (f − 1)·compression.frames`
   * @throws {ModelError} `BAD_BATCH` when the shape is another, and what `open` throws
   */
  decode(latents: HostTensor): Promise<HostTensor>;
  /** Releases all sessions. */
  close(): Promise<void>;
}
