import type { Pixels } from '@musubi/dataset';
import type { HostTensor } from '@musubi/onnx-graph';

import { normalizePixels } from '@musubi/dataset';

import type { EncodedValues } from './stored-values.ts';

import { TrainerError } from '../errors.ts';

/** What caching needs of a VAE. */
export interface LatentEncoder {
  /** Pixels `[B, 3, F, H, W]` float32 in [−1, 1] as normalized latents `[B, C, f, h, w]` float32. */
  encode(pixels: HostTensor): Promise<HostTensor>;
}

export interface EncodedPicture {
  /** `[C, 1, h, w]` */
  readonly latents: EncodedValues;
  /** Those of the first control picture. */
  readonly control: EncodedValues | undefined;
}

/** Pictures of an item, each of the same size in all items that are encoded together. */
export interface PreparedPictures {
  readonly targetPixels: readonly Pixels[];
  readonly controlPixels: readonly Pixels[];
}

/** The latents of pictures and of their first control pictures. */
export async function encodePictures(
  items: readonly PreparedPictures[],
  encoder: LatentEncoder,
): Promise<EncodedPicture[]> {
  const targets = items.flatMap(({ targetPixels }) => targetPixels.slice(0, 1));
  const controls = items.flatMap(({ controlPixels }) => controlPixels.slice(0, 1));
  const latents = await encodeAll(targets, encoder);
  const controlLatents = controls.length > 0 ? await encodeAll(controls, encoder) : [];
  return latents.map((values, i) => ({ latents: values, control: controlLatents[i] }));
}

async function encodeAll(pictures: readonly Pixels[], encoder: LatentEncoder): Promise<EncodedValues[]> {
  const { shape, data } = await encoder.encode(stackPixels(pictures));
  const [count = 0, ...own] = shape;
  const length = own.reduce((product, axis) => product * axis, 1);
  if (count !== pictures.length || data.length !== count * length) {
    throw new TrainerError(
      'BATCH_UNFIT',
      `internal: ${pictures.length} pictures gave latents [${shape.join(', ')}].`,
      'Please report it.',
    );
  }
  const values = data as Float32Array;
  return pictures.map((_, i) => ({ shape: own, data: values.subarray(i * length, (i + 1) * length) }));
}

/** Pictures of one size as `[B, 3, 1, H, W]`. */
function stackPixels(pictures: readonly Pixels[]): HostTensor {
  const { width = 0, height = 0 } = pictures[0] ?? {};
  const length = 3 * height * width;
  const data = new Float32Array(pictures.length * length);
  pictures.forEach((picture, i) => data.set(normalizePixels(picture), i * length));
  return { dtype: 'float32', shape: [pictures.length, 3, 1, height, width], data };
}
