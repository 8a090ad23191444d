import type { Params, Value } from '@musubi/onnx-graph';

import { max, min, slice } from '@musubi/onnx-graph';

import type { WanVaeConfig } from './config.ts';
import type { Chunk } from './past.ts';

import { part } from '../part.ts';
import { activate, attentionBlock, causalConv, downsample, pointConv, residualBlock, upsample } from './layers.ts';
import { denormalize, normalize } from './normalize.ts';
import { decoderParts, encoderParts } from './parts.ts';

/**
 * The encoder of the Wan VAE (Wan Team 2025, arXiv 2503.20314, §4.1): convolutions that are causal in time, in levels of
 * residual blocks, with attention within each frame in the middle.
 *
 * Declares the input `pixels` `[1, 3, T, 8h, 8w]`, one frame or, for the `next`, four.
 *
 * @returns the mean of the posterior, normalized, `[1, C, 1, h, w]`
 */
export function wanVaeEncoder(p: Params, config: WanVaeConfig, chunk: Chunk): Value {
  const { latentChannels, levels } = config;
  const T = chunk === 'next' ? 4 : 1;
  const pixels = p.graph.input('pixels', 'float32', [1, 3, T, '8*h', '8*w']);

  let x = part(p, 'encoder.conv1', causalConv, pixels, levels[0]?.width ?? 0, chunk);
  for (const entry of encoderParts(config)) {
    x = part(p, entry.path, entry.kind === 'residual' ? residualBlock : downsample, x, entry, chunk);
  }
  x = part(p, 'encoder.middle', middle, x, chunk); // [1, D, 1, h, w]
  x = part(p, 'encoder.head', head, x, 2 * latentChannels, chunk);
  const posterior = part(p, 'conv1', pointConv, x, 2 * latentChannels); // mean, then the logarithm of the variance
  return normalize(slice(posterior, 1, 0, latentChannels));
}

/**
 * The decoder: the encoder's levels in reverse.
 *
 * Declares the input `latents` `[1, C, 1, h, w]`, normalized.
 *
 * @returns pixels `[1, 3, T, 8h, 8w]` from −1 to 1, one frame or, for the `next`, four
 */
export function wanVaeDecoder(p: Params, config: WanVaeConfig, chunk: Chunk): Value {
  const { latentChannels, levels } = config;
  const latents = p.graph.input('latents', 'float32', [1, latentChannels, 1, 'h', 'w']);

  let x = part(p, 'conv2', pointConv, denormalize(latents), latentChannels);
  x = part(p, 'decoder.conv1', causalConv, x, levels.at(-1)?.width ?? 0, chunk);
  x = part(p, 'decoder.middle', middle, x, chunk);
  for (const entry of decoderParts(config)) {
    x = part(p, entry.path, entry.kind === 'residual' ? residualBlock : upsample, x, entry, chunk);
  }
  return min(max(part(p, 'decoder.head', head, x, 3, chunk), -1), 1);
}

function middle(p: Params, x: Value, chunk: Chunk): Value {
  const same = { from: Number(x.shape[1]), to: Number(x.shape[1]) };
  const y = part(p, '0', residualBlock, x, same, chunk);
  return part(p, '2', residualBlock, part(p, '1', attentionBlock, y), same, chunk);
}

/** `conv(silu(norm(x)))` */
const head = (p: Params, x: Value, to: number, chunk: Chunk): Value =>
  part(p, '2', causalConv, activate(p.at('0'), x), to, chunk);
