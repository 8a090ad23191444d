import type { Params, Value } from '@musubi/onnx-graph';

import {
  add,
  embedding,
  gate,
  gather,
  gelu,
  linear,
  mT,
  matmul,
  mul,
  reshape,
  rmsNorm,
  softmax,
  transpose,
  unsqueeze,
} from '@musubi/onnx-graph';

import type { Umt5Config } from './config.ts';

import { part } from '../part.ts';

/** Of all normalizations. */
const eps = 1e-6;

/** Where the tokens of a batch stand; see {@link umt5Encoder}. */
interface Layout {
  readonly padded: Value;
  readonly places: Value;
  readonly padding: Value;
  readonly buckets: Value;
}

/**
 * The encoder of UMT5 (Chung et al. 2023, arXiv 2304.09151): T5 (Raffel et al. 2020) with gated GELU and relative
 * positions in every layer.
 *
 * The tokens of all `B` texts stand behind one another, `T` in all. Everything but attention treats each token alone, so
 * padding is computed nowhere else; and as keys of padding get a weight of exactly zero, attention needs to reach to the
 * longest text only, `L`, however far the original pads.
 *
 * Declares the inputs `ids` int64 `[T]`; `padded` int64 `[B, L]`, the token at each place of each text, any where there
 * is none; `places` int64 `[T]`, the inverse, `b·L + j`; `padding` float32 `[B, L]`, zero for tokens and the lowest number
 * elsewhere; `buckets` int64 `[L, L]` of relative positions.
 *
 * @returns embeddings of the tokens, `[T, D]` float32
 */
export function umt5Encoder(p: Params, config: Umt5Config): Value {
  const { vocabulary, width, layers } = config;
  const { graph } = p;
  const ids = graph.input('ids', 'int64', ['T']);
  const layout: Layout = {
    padded: graph.input('padded', 'int64', ['B', 'L']),
    places: graph.input('places', 'int64', ['T']),
    padding: graph.input('padding', 'float32', ['B', 'L']),
    buckets: graph.input('buckets', 'int64', ['L', 'L']),
  };

  let x = graph.within('token_embedding', () => embedding(ids, p.at('token_embedding'), vocabulary, width)); // [T, D]
  for (let i = 0; i < layers; i++) x = part(p, `blocks.${i}`, umt5Block, x, layout, config);
  return part(p, 'norm', rms, x, config); // [T, D]
}

/**
 *     x ← x + SelfAttention(RMS(x))
 *     x ← x + FFN(RMS(x))
 *
 * @param p parameters of e.g. `blocks.0`
 * @param x tokens `[T, D]`
 */
function umt5Block(p: Params, x: Value, layout: Layout, config: Umt5Config): Value {
  const y = part(p, 'norm1', rms, x, config);
  const bias = part(p, 'pos_embedding', positionBias, layout, y, config);
  x = add(x, part(p, 'attn', selfAttention, y, bias, layout, config));

  const z = part(p, 'norm2', rms, x, config);
  return add(x, part(p, 'ffn', feedForward, z, config));
}

/** `softmax(q·kᵀ + bias + padding)·v·Wₒ`, without the usual division by the root of the head's width. */
function selfAttention(p: Params, x: Value, bias: Value, layout: Layout, config: Umt5Config): Value {
  const { width, attentionWidth } = config;
  const heads = (name: string) => splitHeads(linear(x, p.at(name), width, attentionWidth), layout, config);
  const [q, k, v] = [heads('q'), heads('k'), heads('v')]; // [B, H, L, A/H]

  const scores = add(add(matmul(q, mT(k)), bias), unsqueeze(layout.padding, 1, 2)); // [B, H, L, L]
  const y = mergeHeads(matmul(softmax(scores), v), layout, config); // [T, A]
  return linear(y, p.at('o'), attentionWidth, width); // [T, D]
}

/**
 * `bias[h, i, j] = table[bucket(j − i), h]`
 *
 * @param after the layer's input: the biases of all layers follow from the inputs alone, and at 512 tokens each takes
 * 64 MiB, so none may be made before its layer
 * @returns `[H, L, L]`
 */
function positionBias(p: Params, { buckets }: Layout, after: Value, config: Umt5Config): Value {
  const table = p.at('embedding').tensor('weight', [config.buckets, config.heads]);
  return transpose(gather(gate(table, [after]), buckets), [2, 0, 1]);
}

/** `(fc₁(x) ⊙ GELU(gate(x)))·fc₂` (Shazeer 2020) */
function feedForward(p: Params, x: Value, { width, ffnWidth }: Umt5Config): Value {
  const gated = gelu(linear(x, p.at('gate.0'), width, ffnWidth), 'tanh'); // [T, F]
  return linear(mul(linear(x, p.at('fc1'), width, ffnWidth), gated), p.at('fc2'), ffnWidth, width);
}

const rms = (p: Params, x: Value, { width }: Umt5Config): Value => rmsNorm(x, p.tensor('weight', [width]), eps);

/** `[T, A]` to `[B, H, L, A/H]` */
function splitHeads(x: Value, { padded }: Layout, { attentionWidth, heads }: Umt5Config): Value {
  return transpose(reshape(gather(x, padded), ['B', 'L', heads, attentionWidth / heads]), [0, 2, 1, 3]);
}

/** The inverse of {@link splitHeads}. */
function mergeHeads(x: Value, { places }: Layout, { attentionWidth }: Umt5Config): Value {
  return gather(reshape(transpose(x, [0, 2, 1, 3]), ['B*L', attentionWidth]), places);
}
