import type { Params, Value } from '@musubi/onnx-graph';

import {
  add,
  attention as scaledAttention,
  chunk,
  gelu,
  layerNorm,
  layerNormalization,
  linear,
  matmul,
  mul,
  reshape,
  rmsNorm,
  rotaryEmbedding,
  silu,
  transpose,
  unsqueeze,
} from '@musubi/onnx-graph';

import type { WanConfig } from './config.ts';

import { part } from '../part.ts';
import { patchSize } from './config.ts';

/** Cosines and sines by which the heads' pairs of channels turn, each `[S, D/2n]` for `n` heads. */
interface Rope {
  readonly cos: Value;
  readonly sin: Value;
}

/**
 * The diffusion transformer of Wan (Wan Team 2025, arXiv 2503.20314): text-to-video, versions 2.1 and 2.2 14B. All
 * tokens of an item have one time, so 2.2's modulation per token reduces to 2.1's.
 *
 * Declares the inputs `tokens` `[B, S, 4C]`, `time` `[B, 256]`, `context` `[B, L, textWidth]`, `rope_cos` and `rope_sin`
 * `[S, D/2n]`, all float32.
 *
 * @returns the velocity of every token, `[B, S, 4C]`: row in patch, column in patch, channel (fastest)
 */
export function wanTransformer(p: Params, config: WanConfig): Value {
  const { width, heads, layers, channels, textWidth, textLength, timeWidth } = config;
  const input = (name: string, shape: (string | number)[]) => p.graph.input(name, 'float32', shape);
  const tokens = input('tokens', ['B', 'S', patchSize ** 2 * channels]);
  const time = input('time', ['B', timeWidth]);
  const context = input('context', ['B', textLength, textWidth]);
  const halfHead = width / heads / 2;
  const rope = { cos: input('rope_cos', ['S', halfHead]), sin: input('rope_sin', ['S', halfHead]) };

  let x = part(p, 'patch_embedding', patchEmbedding, tokens, config); // [B, S, D]
  const text = part(p, 'text_embedding', textEmbedding, context, config); // [B, L, D]
  const e = part(p, 'time_embedding', timeEmbedding, time, config); // [B, D]
  const e0 = part(p, 'time_projection', timeProjection, e, config); // [B, 6, D]
  for (let i = 0; i < layers; i++) x = part(p, `blocks.${i}`, wanBlock, x, e0, text, rope, config);
  return part(p, 'head', head, x, e, config); // [B, S, 4C]
}

/**
 * A block: self-attention and feed-forward network modulated by the time, cross-attention to the text between them.
 *
 *     β₁, γ₁, α₁, β₂, γ₂, α₂ = modulation + e₀
 *     x ← x + α₁ ⊙ SelfAttention(LN(x)⊙(1 + γ₁) + β₁)
 *     x ← x + CrossAttention(LN₃(x), text)
 *     x ← x + α₂ ⊙ FFN(LN(x)⊙(1 + γ₂) + β₂)
 *
 * `LN₃` alone has learned scale and bias.
 *
 * @param p parameters of e.g. `blocks.0`
 * @param x tokens `[B, S, D]`
 * @param e0 projected time `[B, 6, D]`
 * @param text embedded text `[B, L, D]`
 * @returns tokens `[B, S, D]`
 */
export function wanBlock(p: Params, x: Value, e0: Value, text: Value, rope: Rope, config: WanConfig): Value {
  const { width, eps } = config;
  const modulation = add(p.tensor('modulation', [1, 6, width]), e0); // [B, 6, D]
  const [shift1, scale1, gate1, shift2, scale2, gate2] = chunk(modulation, 6, 1); // [B, 1, D] each

  const y = modulate(layerNorm(x, eps), shift1, scale1);
  x = add(x, mul(gate1, part(p, 'self_attn', selfAttention, y, rope, config)));

  const z = part(p, 'norm3', affineLayerNorm, x, config);
  x = add(x, part(p, 'cross_attn', crossAttention, z, text, config));

  const w = modulate(layerNorm(x, eps), shift2, scale2);
  return add(x, mul(gate2, part(p, 'ffn', feedForward, w, config)));
}

/** `Attention(rope(RMS(q)), rope(RMS(k)), v)·Wₒ + bₒ`, where `RMS` normalizes the whole width, not each head. */
function selfAttention(p: Params, x: Value, { cos, sin }: Rope, config: WanConfig): Value {
  const { width } = config;
  const q = rms(linear(x, p.at('q'), width, width), p.at('norm_q'), config);
  const k = rms(linear(x, p.at('k'), width, width), p.at('norm_k'), config);
  const v = linear(x, p.at('v'), width, width); // [B, S, D]

  const turned = (y: Value) => rotaryEmbedding(splitHeads(y, config), cos, sin); // [B, n, S, D/n]
  const y = attention(turned(q), turned(k), splitHeads(v, config), config);
  return linear(mergeHeads(y, config), p.at('o'), width, width); // [B, S, D]
}

/** `Attention(RMS(q), RMS(k), v)·Wₒ + bₒ` with keys and values from the text, its padding included. */
function crossAttention(p: Params, x: Value, text: Value, config: WanConfig): Value {
  const { width } = config;
  const q = rms(linear(x, p.at('q'), width, width), p.at('norm_q'), config); // [B, S, D]
  const k = rms(linear(text, p.at('k'), width, width), p.at('norm_k'), config); // [B, L, D]
  const v = linear(text, p.at('v'), width, width);

  const y = attention(splitHeads(q, config), splitHeads(k, config), splitHeads(v, config), config);
  return linear(mergeHeads(y, config), p.at('o'), width, width); // [B, S, D]
}

/** `softmax(q·kᵀ/√d)·v` with `q` `[B, n, S, d]`, `k` and `v` `[B, n, L, d]` (Vaswani et al. 2017). */
function attention(q: Value, k: Value, v: Value, { width, heads }: WanConfig): Value {
  return scaledAttention(q, k, v, 1 / Math.sqrt(width / heads));
}

/** `Linear → GELU (tanh) → Linear` */
function feedForward(p: Params, x: Value, { width, ffnWidth }: WanConfig): Value {
  return linear(gelu(linear(x, p.at(0), width, ffnWidth), 'tanh'), p.at(2), ffnWidth, width);
}

/** `LN(x)⊙(1 + γ) + β`, then a Linear; `β, γ = modulation + e`, the time before its projection. */
function head(p: Params, x: Value, e: Value, { width, channels, eps }: WanConfig): Value {
  const modulation = add(p.tensor('modulation', [1, 2, width]), unsqueeze(e, 1)); // [B, 2, D]
  const [shift, scale] = chunk(modulation, 2, 1);
  return linear(modulate(layerNorm(x, eps), shift, scale), p.at('head'), width, patchSize ** 2 * channels);
}

/** A convolution whose kernel is its stride, as a product: the weight flattens to channel, row, column in the patch. */
function patchEmbedding(p: Params, tokens: Value, { width, channels }: WanConfig): Value {
  const kernel = p.tensor('weight', [width, channels, 1, patchSize, patchSize]);
  const weight = reshape(kernel, [width, channels * patchSize ** 2]);
  return add(matmul(tokens, transpose(weight, [1, 0])), p.tensor('bias', [width])); // [B, S, D]
}

/** `Linear → GELU (tanh) → Linear`; padding rows become one constant row that attention does see. */
function textEmbedding(p: Params, context: Value, { width, textWidth }: WanConfig): Value {
  return linear(gelu(linear(context, p.at(0), textWidth, width), 'tanh'), p.at(2), width, width); // [B, L, D]
}

/** `e = Linear(SiLU(Linear(time)))` */
function timeEmbedding(p: Params, time: Value, { width, timeWidth }: WanConfig): Value {
  return linear(silu(linear(time, p.at(0), timeWidth, width)), p.at(2), width, width); // [B, D]
}

/** `e₀ = Linear(SiLU(e))`, one row for each shift, scale and gate of a block. */
function timeProjection(p: Params, e: Value, { width }: WanConfig): Value {
  return reshape(linear(silu(e), p.at(1), width, 6 * width), ['B', 6, width]); // [B, 6, D]
}

const modulate = (x: Value, shift: Value, scale: Value): Value => add(mul(x, add(scale, 1)), shift);

const rms = (x: Value, p: Params, { width, eps }: WanConfig): Value => rmsNorm(x, p.tensor('weight', [width]), eps);

const affineLayerNorm = (p: Params, x: Value, { width, eps }: WanConfig): Value =>
  layerNormalization(x, p.tensor('weight', [width]), p.tensor('bias', [width]), eps).y;

/** `[B, S, D]` to `[B, n, S, D/n]` */
function splitHeads(x: Value, { width, heads }: WanConfig): Value {
  return transpose(reshape(x, [...x.shape.slice(0, 2), heads, width / heads]), [0, 2, 1, 3]);
}

/** The inverse of {@link splitHeads}. */
function mergeHeads(x: Value, { width }: WanConfig): Value {
  const merged = transpose(x, [0, 2, 1, 3]); // [B, S, n, D/n]
  return reshape(merged, [...merged.shape.slice(0, 2), width]);
}
