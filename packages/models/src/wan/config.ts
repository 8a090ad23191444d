import type { ConfigHints, Shaped } from '../architecture.ts';

import { ModelError } from '../errors.ts';
import { refuseOtherModels } from './other-models.ts';
import { parseMetadata, parseModelConfig } from './stated-config.ts';
import { publishedTask, refuseOtherTask } from './tasks.ts';

/** Size of a Wan text-to-video transformer. Versions 2.1 and 2.2 (14B) have the same graph. */
export interface WanConfig {
  /** `D`, of a token. */
  readonly width: number;
  readonly ffnWidth: number;
  readonly heads: number;
  readonly layers: number;
  /** `C`, of the latents. */
  readonly channels: number;
  readonly textWidth: number;
  /** Rows to which zeros extend every text embedding. */
  readonly textLength: number;
  /** Of the sinusoidal time embedding: as many cosines as sines. */
  readonly timeWidth: number;
  /** Of all normalizations. */
  readonly eps: number;
}

/** Rows, and columns, of latents that make one token. A token has one frame. */
export const patchSize = 2;

/** Of every published model: what is assumed when nothing states the number of heads. */
const publishedHeadWidth = 128;

type Weights = ReadonlyMap<string, Shaped>;

/**
 * Reads the configuration off the shapes of a checkpoint. Heads, text length and eps leave no trace there: they come
 * from the model configuration, else from the file's metadata, else from what was published.
 */
export function inferWanConfig(weights: Weights, { task, modelConfig, metadata }: ConfigHints): WanConfig {
  refuseOtherModels(weights);
  const published = publishedTask(task);
  const claimed = parseModelConfig(modelConfig);
  const shaped = {
    width: axisLength(weights, 'patch_embedding.weight', 0),
    ffnWidth: axisLength(weights, 'blocks.0.ffn.0.weight', 0),
    layers: countBlocks(weights),
    channels: axisLength(weights, 'patch_embedding.weight', 1),
    textWidth: axisLength(weights, 'text_embedding.0.weight', 1),
    timeWidth: axisLength(weights, 'time_embedding.0.weight', 1),
  };
  checkClaims(claimed, shaped);
  refuseOtherTask(task, shaped);

  const stated = { ...parseMetadata(metadata), ...claimed };
  const usual = published?.width === shaped.width ? published.heads : shaped.width / publishedHeadWidth;
  const heads = checkHeads(stated.heads ?? usual, shaped.width);
  return { ...shaped, heads, textLength: stated.textLength ?? 512, eps: stated.eps ?? 1e-6 };
}

function axisLength(weights: Weights, name: string, axis: number): number {
  const length = weights.get(name)?.shape[axis];
  if (length !== undefined && length > 0) return length;
  throw new ModelError(
    'KEY_MISMATCH',
    `This is not a complete Wan checkpoint: "${name}" ${weights.has(name) ? 'has too few axes' : 'is missing'}` +
      ` among its ${weights.size} tensors (the first: ${[...weights.keys()].slice(0, 3).join(', ') || 'none'}).`,
    'Give the file of the transformer (not of the VAE or a text encoder), with all its shards beside it.',
    { missing: [name] },
  );
}

/** Highest block index plus one. Three digits: a hostile name cannot ask for millions of blocks. */
function countBlocks(weights: Weights): number {
  const indices = Array.from(weights.keys(), (name) => Number(/^blocks\.(\d{1,3})\./.exec(name)?.[1] ?? -1));
  return indices.reduce((a, b) => Math.max(a, b), 0) + 1;
}

function checkClaims(claimed: Partial<WanConfig>, shaped: Partial<WanConfig>): void {
  for (const name of Object.keys(shaped) as (keyof WanConfig)[]) {
    if (claimed[name] === undefined || claimed[name] === shaped[name]) continue;
    throw new ModelError(
      'BAD_MODEL_CONFIG',
      `--model_config gives ${name} ${claimed[name]}, the checkpoint has ${shaped[name]}.`,
      'Give the configuration of this checkpoint, or leave that key out.',
      { subject: name, value: claimed[name] },
    );
  }
}

function checkHeads(heads: number, width: number): number {
  if (!Number.isInteger(heads)) {
    throw new ModelError(
      'HEADS_UNKNOWN',
      `The number of attention heads cannot be told from the shapes: width ${width} is of no published model and not` +
        ` a multiple of ${publishedHeadWidth}.`,
      'Give --model_config with num_heads.',
      { subject: 'num_heads' },
    );
  }
  if (width % heads !== 0 || (width / heads) % 2 !== 0) {
    throw new ModelError(
      'BAD_MODEL_CONFIG',
      `num_heads ${heads} does not divide width ${width} into heads of even width.`,
      'Give the num_heads of this checkpoint in --model_config.',
      { subject: 'num_heads', value: heads },
    );
  }
  return heads;
}
