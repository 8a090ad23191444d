import type { HostTensor, ParameterSource } from '@musubi/onnx-graph';

import type { ImageDecoder, ImageEncoder, OpenGraph } from '../autoencoder.ts';
import type { WanVaeConfig } from './config.ts';

import { ModelError } from '../errors.ts';
import { compression } from './config.ts';
import { framesOf, putFrames, zeroTensor } from './frames.ts';
import { wanVaeDecoder, wanVaeEncoder } from './model.ts';
import { type ChunkModel, createChunkSessions } from './sessions.ts';

/** Runs on the first frame alone, then on groups of four. */
export function createWanVaeEncoder(weights: ParameterSource, config: WanVaeConfig, open: OpenGraph): ImageEncoder {
  const model: ChunkModel = {
    label: 'vae encoder',
    input: 'pixels',
    build: (p, chunk) => wanVaeEncoder(p, config, chunk),
  };
  const sessions = createChunkSessions(model, weights, open);
  return {
    async encode(pixels) {
      const [B, F, H, W] = sizesOf(pixels, 'pixels', 3, compression.sides);
      const count = 1 + Math.floor((F - 1) / compression.frames);
      const sides = [H, W].map((side) => side / compression.sides);
      const latents = zeroTensor([B, config.latentChannels, count, ...sides]);
      for (let item = 0; item < B; item++) {
        await sessions.run(
          count,
          (i) => framesOf(pixels, item, firstFrame(i), firstFrame(i + 1)),
          (i, latent) => putFrames(latents, item, i, latent),
        );
      }
      return latents;
    },
    close: sessions.close,
  };
}

/** Runs on one latent frame at a time. */
export function createWanVaeDecoder(weights: ParameterSource, config: WanVaeConfig, open: OpenGraph): ImageDecoder {
  const model: ChunkModel = {
    label: 'vae decoder',
    input: 'latents',
    build: (p, chunk) => wanVaeDecoder(p, config, chunk),
  };
  const sessions = createChunkSessions(model, weights, open);
  return {
    async decode(latents) {
      const [B, count, h, w] = sizesOf(latents, 'latents', config.latentChannels, 1);
      const pixels = zeroTensor([B, 3, firstFrame(count), h * compression.sides, w * compression.sides]);
      for (let item = 0; item < B; item++) {
        await sessions.run(
          count,
          (i) => framesOf(latents, item, i, i + 1),
          (i, frames) => putFrames(pixels, item, firstFrame(i), frames),
        );
      }
      return pixels;
    },
    close: sessions.close,
  };
}

/** The first pixel frame of latent frame `i`. */
const firstFrame = (i: number): number => Math.max(0, (i - 1) * compression.frames + 1);

function sizesOf(
  { dtype, shape }: HostTensor,
  subject: 'pixels' | 'latents',
  channels: number,
  multiple: number,
): [B: number, F: number, H: number, W: number] {
  const [B = 0, C = 0, F = 0, H = 0, W = 0] = shape;
  const fits =
    shape.length === 5 &&
    C === channels &&
    [B, F, H, W].every((length) => length > 0) &&
    H % multiple === 0 &&
    W % multiple === 0;
  if (fits && dtype === 'float32') return [B, F, H, W];
  throw new ModelError(
    'BAD_BATCH',
    `The ${subject} are ${dtype} [${shape.join(', ')}]; expected float32 [B, ${channels}, F, H, W]` +
      `${multiple > 1 ? ` with H and W multiples of ${multiple}` : ''}.`,
    multiple > 1
      ? `Scale and crop to sides that are multiples of ${multiple}, as the buckets of a dataset are.`
      : 'Give latents of this model.',
    { subject, value: shape },
  );
}
