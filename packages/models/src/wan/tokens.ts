import type { HostTensor } from '@musubi/onnx-graph';

import { ModelError } from '../errors.ts';
import { patchSize } from './config.ts';

/** Lengths of the axes of latents `[B, C, F, H, W]`. */
export interface LatentSize {
  readonly B: number;
  readonly C: number;
  readonly F: number;
  readonly H: number;
  readonly W: number;
}

/**
 * Order of the numbers of a token, fastest last. What enters the model is ordered like a convolution's kernel, what
 * leaves it is not.
 */
export type TokenOrder = 'channel, row, column' | 'row, column, channel';

/** Latents `[B, C, F, H, W]` as tokens `[B, F·H/2·W/2, 4C]`; the tokens in the order frame, row, column. */
export function toTokens(latents: HostTensor, order: TokenOrder): HostTensor {
  const size = latentSize(latents.shape);
  const from = float32Data(latents, 'latents');
  const data = new Float32Array(from.length);
  forEachElement(size, order, (latent, token) => {
    data[token] = from[latent] ?? 0;
  });
  return { dtype: 'float32', shape: tokenShape(size), data };
}

/** The inverse of {@link toTokens}. */
export function fromTokens(tokens: HostTensor, latentShape: readonly number[], order: TokenOrder): HostTensor {
  const size = latentSize(latentShape);
  const from = float32Data(tokens, 'tokens');
  if (tokens.shape.join() !== tokenShape(size).join()) {
    throw new ModelError(
      'BAD_BATCH',
      `tokens are [${tokens.shape.join(', ')}]; latents [${latentShape.join(', ')}] give [${tokenShape(size).join(', ')}].`,
      'Give the shape of the latents that these tokens came from.',
      { subject: 'tokens', value: tokens.shape },
    );
  }
  const data = new Float32Array(from.length);
  forEachElement(size, order, (latent, token) => {
    data[latent] = from[token] ?? 0;
  });
  return { dtype: 'float32', shape: [...latentShape], data };
}

/** @throws {ModelError} `BAD_BATCH` when the shape is not that of latents with even rows and columns */
export function latentSize(shape: readonly number[]): LatentSize {
  const [B = 0, C = 0, F = 0, H = 0, W = 0] = shape;
  const whole = shape.length === 5 && shape.every((d) => Number.isSafeInteger(d) && d > 0);
  if (whole && H % patchSize === 0 && W % patchSize === 0) return { B, C, F, H, W };
  throw new ModelError(
    'BAD_BATCH',
    `latents are [${shape.join(', ')}]; expected [B, C, F, H, W] with even H and W.`,
    'Cache them again from pictures whose sides are multiples of 16.',
    { subject: 'latents', value: shape },
  );
}

/** The numbers of a float32 tensor, as many as its shape says. */
export function float32Data(tensor: HostTensor, what: string): Float32Array {
  const { data, shape } = tensor;
  const count = shape.reduce((a, b) => a * b, 1);
  if (data instanceof Float32Array && data.length === count) return data;
  throw new ModelError(
    'BAD_BATCH',
    `${what} [${shape.join(', ')}] hold ${data.length} elements of ${tensor.dtype}; expected ${count} of float32.`,
    'Convert them to float32 first.',
    { subject: what },
  );
}

const tokenShape = ({ B, C, F, H, W }: LatentSize): number[] => [
  B,
  F * (H / patchSize) * (W / patchSize),
  C * patchSize ** 2,
];

/** Visits every number with its index among the latents and among the tokens. */
function forEachElement(size: LatentSize, order: TokenOrder, visit: (latent: number, token: number) => void): void {
  const { B, C, F, H, W } = size;
  const width = C * patchSize ** 2;
  const [channelStep, rowStep, columnStep] =
    order === 'channel, row, column' ? [patchSize ** 2, patchSize, 1] : [1, patchSize * C, C];
  let latent = 0;
  for (let b = 0; b < B; b++) {
    for (let c = 0; c < C; c++) {
      for (let f = 0; f < F; f++) {
        for (let y = 0; y < H; y++) {
          const patchRow = ((b * F + f) * H + (y - (y % patchSize))) / patchSize;
          const inRow = patchRow * (W / patchSize) * width + c * channelStep + (y % patchSize) * rowStep;
          for (let x = 0; x < W; x++) {
            const column = (x - (x % patchSize)) / patchSize;
            visit(latent++, inRow + column * width + (x % patchSize) * columnStep);
          }
        }
      }
    }
  }
}
