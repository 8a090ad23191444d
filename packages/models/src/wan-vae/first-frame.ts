import type { HostTensor } from '@musubi/onnx-graph';

import type { ImageEncoder } from '../autoencoder.ts';

import { compression } from './config.ts';
import { framesOf, putFrames, zeroTensor } from './frames.ts';

/**
 * What Wan's image-to-video models see of the picture that a video begins with: a mask, one for the first latent frame
 * and zero for the others, in a channel for each of the four frames that make a latent frame; then the latents of the
 * first frame followed by mid grey.
 *
 * @param pixels of the video, float32 `[B, 3, F, H, W]` from −1 to 1; only its first frame is used
 * @returns float32 `[B, 4 + C, f, h, w]`
 * @throws {ModelError} `BAD_BATCH`
 */
export async function encodeFirstFrame(encoder: ImageEncoder, pixels: HostTensor): Promise<HostTensor> {
  const latents = await encoder.encode(greyBehindFirstFrame(pixels));
  const [B = 0, C = 0, f = 0, h = 0, w = 0] = latents.shape;
  const [mask, frame] = [compression.frames * f * h * w, h * w];
  const joined = zeroTensor([B, compression.frames + C, f, h, w]);
  const [into, values] = [joined.data as Float32Array, latents.data as Float32Array];
  const itemLength = mask + C * f * h * w;
  for (let item = 0; item < B; item++) {
    const start = item * itemLength;
    for (let channel = 0; channel < compression.frames; channel++) {
      into.fill(1, start + channel * f * frame, start + channel * f * frame + frame);
    }
    into.set(values.subarray(item * C * f * frame, (item + 1) * C * f * frame), start + mask);
  }
  return joined;
}

function greyBehindFirstFrame(pixels: HostTensor): HostTensor {
  const grey = zeroTensor(pixels.shape);
  const [B = 0, , F = 0] = pixels.shape;
  if (F > 0) for (let item = 0; item < B; item++) putFrames(grey, item, 0, framesOf(pixels, item, 0, 1));
  return { ...grey, dtype: pixels.dtype };
}
