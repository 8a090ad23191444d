import type { Shaped } from '../architecture.ts';

import { ModelError } from '../errors.ts';

/** Size of a UMT5 encoder. */
export interface Umt5Config {
  readonly vocabulary: number;
  /** `D`, of a token. */
  readonly width: number;
  /** `A`, of all heads together. */
  readonly attentionWidth: number;
  readonly ffnWidth: number;
  readonly heads: number;
  readonly layers: number;
  /** Of relative positions, half of them for keys before the query. */
  readonly buckets: number;
}

/** UMT5-XXL, the text encoder of Wan. */
export const umt5Xxl: Umt5Config = {
  vocabulary: 256384,
  width: 4096,
  attentionWidth: 4096,
  ffnWidth: 10240,
  heads: 64,
  layers: 24,
  buckets: 32,
};

type Weights = ReadonlyMap<string, Shaped>;

/** Reads the configuration off the shapes of a checkpoint: the table of relative positions has a column for each head. */
export function inferUmt5Config(weights: Weights): Umt5Config {
  refuseTransformersNames(weights);
  const block = 'blocks.0';
  const config = {
    vocabulary: axisLength(weights, 'token_embedding.weight', 0),
    width: axisLength(weights, 'token_embedding.weight', 1),
    attentionWidth: axisLength(weights, `${block}.attn.q.weight`, 0),
    ffnWidth: axisLength(weights, `${block}.ffn.fc1.weight`, 0),
    heads: axisLength(weights, `${block}.pos_embedding.embedding.weight`, 1),
    layers: countBlocks(weights),
    buckets: axisLength(weights, `${block}.pos_embedding.embedding.weight`, 0),
  };
  checkHeads(config);
  return config;
}

/** What people have beside it, by its marks in a file. */
export function refuseOtherModels(keys: ReadonlySet<string>): void {
  const others: [what: string, mark: string][] = [
    ['a Wan VAE', 'encoder.conv1.weight'],
    ['a Wan transformer', 'patch_embedding.weight'],
  ];
  const [what] = others.find(([, mark]) => keys.has(mark)) ?? [];
  if (what === undefined) return;
  throw new ModelError(
    'UNSUPPORTED_MODEL',
    `The checkpoint is ${what}, not the text encoder.`,
    'Give the text encoder of the Wan 2.1 release (models_t5_umt5-xxl-enc-bf16).',
  );
}

/** The same model under other names, as `umt5_xxl_fp16.safetensors` for ComfyUI has it. */
function refuseTransformersNames(weights: Weights): void {
  if (!weights.has('block.0.layer.0.SelfAttention.q.weight')) return;
  throw new ModelError(
    'UNSUPPORTED_MODEL',
    'The checkpoint is a T5 or UMT5 encoder with the key names of transformers.',
    'Give models_t5_umt5-xxl-enc-bf16.pth of the Wan 2.1 release, or the same as .safetensors.',
  );
}

function axisLength(weights: Weights, name: string, axis: number): number {
  const length = weights.get(name)?.shape[axis];
  if (length !== undefined && length > 0) return length;
  throw new ModelError(
    'KEY_MISMATCH',
    `This is not a complete UMT5 encoder: "${name}" ${weights.has(name) ? 'has too few axes' : 'is missing'}` +
      ` among its ${weights.size} tensors (the first: ${[...weights.keys()].slice(0, 3).join(', ') || 'none'}).`,
    'Give the text encoder of the Wan 2.1 release (models_t5_umt5-xxl-enc-bf16), with all its shards beside it.',
    { missing: [name] },
  );
}

/** Highest block index plus one. Three digits: a hostile name cannot ask for millions of blocks. */
function countBlocks(weights: Weights): number {
  const indices = Array.from(weights.keys(), (name) => Number(/^blocks\.(\d{1,3})\./.exec(name)?.[1] ?? -1));
  return indices.reduce((a, b) => Math.max(a, b), 0) + 1;
}

function checkHeads({ heads, attentionWidth, buckets }: Umt5Config): void {
  if (attentionWidth % heads === 0 && buckets % 4 === 0) return;
  throw new ModelError(
    'UNSUPPORTED_MODEL',
    `The table of relative positions has ${buckets} buckets for ${heads} heads; expected a multiple of 4 buckets and` +
      ` heads that divide the attention width ${attentionWidth}.`,
    'Give an unchanged UMT5 encoder.',
    { subject: 'blocks.0.pos_embedding.embedding.weight', value: [buckets, heads] },
  );
}
