import type { HostTensor, Params, Value } from '@musubi/onnx-graph';

import type { CheckpointModel } from './weights.ts';

/**
 * All that caching knows of a model that embeds captions.
 *
 * Shapes: `T` tokens of all texts of a batch, `L_b` tokens of text `b`, `D` width.
 */
export interface TextEncoder<Config> extends CheckpointModel<Config> {
  /** The configuration of the published checkpoint. */
  readonly published: Config;
  /** The graph: declares its inputs on `params.graph`, whose names are the keys of {@link TextEncoder.prepare}. */
  build(params: Params, config: Config): { readonly embeddings: Value };
  /**
   * The feeds of one call.
   *
   * @param texts token ids of each text, without padding
   * @throws {ModelError} `BAD_BATCH` when a text is empty or has a token that the vocabulary lacks
   */
  prepare(config: Config, texts: readonly ArrayLike<number>[]): Record<string, HostTensor>;
  /**
   * The embeddings of each text, `[L_b, D]` float32, from the output of the graph.
   *
   * @throws {ModelError} `BAD_BATCH` when the output is of other texts
   */
  split(embeddings: HostTensor, texts: readonly ArrayLike<number>[]): HostTensor[];
}
