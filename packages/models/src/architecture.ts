import type { HostTensor, Params, Value } from '@musubi/onnx-graph';

/**
 * All that training and sampling know of a model. Adding an architecture is one folder that exports one of these.
 *
 * Shapes: `B` batch, `S` tokens, `C` channels of the latents, `F, H, W` their frames, rows and columns.
 */
export interface Architecture<Config = unknown> {
  /** In the names of cache files, e.g. `wan`. */
  readonly shortName: string;
  /** In saved metadata (`ss_base_model_version`), e.g. `wan`. */
  readonly longName: string;
  /** Every value of `--task`. */
  readonly tasks: Readonly<Record<string, Task<Config>>>;
  readonly modelspec: Modelspec;
  readonly lora: LoraTargets<Config>;

  /**
   * The configuration that the shapes of a checkpoint imply, with the hints for what they do not tell.
   *
   * @param weights by the model's own names, without a prefix
   * @throws {ModelError} `UNSUPPORTED_MODEL`, `UNKNOWN_TASK`, `TASK_MISMATCH`, `BAD_MODEL_CONFIG`, `HEADS_UNKNOWN`, `KEY_MISMATCH`
   */
  inferConfig(weights: ReadonlyMap<string, Shaped>, hints: ConfigHints): Config;
  /** Every tensor that a checkpoint of this configuration must have, in the order of the model. */
  parameters(config: Config): readonly Parameter[];
  /**
   * Shapes of the standard normal draws that the original makes from PyTorch's generator while it constructs the
   * (empty) model. Whoever wants the original's random numbers skips these first.
   */
  constructionDraws(config: Config): readonly (readonly number[])[];

  /** Parts of the model, by the start of their path, whose products stay in float32 where others are in 16 bits. */
  readonly float32Parts: readonly string[];

  /** Attention over the whole sequence, whose scores are `heads·S²` numbers an item in each of `layers`. */
  attention(config: Config): { readonly heads: number; readonly layers: number };
  /** `S` of a picture or a clip of that size in pixels. */
  sequenceLength(size: { readonly width: number; readonly height: number; readonly frames: number }): number;

  /** The forward graph: declares its inputs on `params.graph`, whose names are the keys of {@link Architecture.prepare}. */
  build(params: Params, config: Config): { readonly prediction: Value };
  /**
   * The feeds of one call of the model.
   *
   * @throws {ModelError} `BAD_BATCH` when shapes do not fit the model
   */
  prepare(config: Config, batch: ModelBatch): Record<string, HostTensor>;
  /** Latents `[B, C, F, H, W]` in the layout of the prediction, e.g. for the training target. */
  toOutputTokens(config: Config, latents: HostTensor): HostTensor;
  /** The inverse: a prediction as latents of `latentShape`. */
  fromOutputTokens(config: Config, tokens: HostTensor, latentShape: readonly number[]): HostTensor;
}

/** A value of `--task`: the published configuration, or why it cannot be chosen. */
export type Task<Config> = PublishedTask<Config> | { readonly refused: string };

export interface PublishedTask<Config> {
  readonly config: Config;
  /** Share of 1000 timesteps from which a second transformer, for high noise, takes over; absent where there is one. */
  readonly timestepBoundary?: number;
}

/** Values of the `modelspec.` metadata of a saved adapter. */
export interface Modelspec {
  /** The part before `/lora`. */
  readonly architecture: string;
  readonly implementation: string;
  /** `WxH` */
  readonly resolution: string;
}

export interface LoraTargets<Config> {
  /** The value of `--network_module`. */
  readonly networkModule: string;
  /** Class of the blocks whose modules get an adapter. */
  readonly targetClass: string;
  /** Regular expressions on whole module paths, added to the user's. */
  readonly defaultExcludePatterns: readonly string[];
  /** All modules an adapter could sit on, in the order in which the original walks them. */
  modules(config: Config): readonly LoraModule[];
}

export interface LoraModule {
  /** E.g. `blocks.0.self_attn.q`; its weight is `<path>.weight`. */
  readonly path: string;
  readonly kind: 'linear';
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** Class of the block it is in, null outside blocks. */
  readonly blockClass: string | null;
}

/** What tensor shapes cannot tell. Earlier ones win: model configuration, file metadata, task. */
export interface ConfigHints {
  readonly task?: string | undefined;
  /** Content of `--model_config`, with the key names of the original's configuration. */
  readonly modelConfig?: Readonly<Record<string, unknown>> | undefined;
  /** Metadata of the checkpoint file. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

export interface Shaped {
  readonly shape: readonly number[];
}

export interface Parameter extends Shaped {
  readonly name: string;
}

export interface ModelBatch {
  /** float32 `[B, C, F, H, W]` */
  readonly noisyLatents: HostTensor;
  /** `[B]`, on the model's scale (Wan: 0…1001). */
  readonly timesteps: ArrayLike<number>;
  /** One embedding an item, `[L_b, textWidth]`. */
  readonly text: readonly { readonly shape: readonly number[]; readonly data: Float32Array }[];
}
