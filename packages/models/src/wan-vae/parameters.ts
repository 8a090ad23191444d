import type { Parameter } from '../architecture.ts';
import type { WanVaeConfig } from './config.ts';
import type { Part } from './parts.ts';

import { decoderParts, encoderParts } from './parts.ts';

/** Every tensor of a checkpoint, in the order of the model: encoder, convolutions around the latents, decoder. */
export function wanVaeParameters(config: WanVaeConfig): Parameter[] {
  const { latentChannels: z, levels } = config;
  const finest = levels[0]?.width ?? 0;
  const coarsest = levels.at(-1)?.width ?? 0;
  return [
    ...convolution('encoder.conv1', 3, finest, cube),
    ...encoderParts(config).flatMap((part) => partParameters(part, part.to)),
    ...middle('encoder.middle', coarsest),
    ...head('encoder.head', coarsest, 2 * z),
    ...convolution('conv1', 2 * z, 2 * z, point),
    ...convolution('conv2', z, z, point),
    ...convolution('decoder.conv1', z, coarsest, cube),
    ...middle('decoder.middle', coarsest),
    ...decoderParts(config).flatMap((part) => partParameters(part, 2 * part.from)),
    ...head('decoder.head', finest, 3),
  ];
}

/** Kernels: frames, rows, columns. */
const cube = [3, 3, 3];
const point = [1, 1, 1];
const frames = [3, 1, 1];
const square = [3, 3];

/** @param timeWidth channels behind a resampler's convolution in time: two frames' worth where it doubles them */
function partParameters({ kind, path, from, to, inTime }: Part, timeWidth: number): Parameter[] {
  if (kind === 'residual') return residual(path, from, to);
  return [
    ...convolution(`${path}.resample.1`, from, to, square),
    ...(inTime ? convolution(`${path}.time_conv`, from, timeWidth, frames) : []),
  ];
}

const residual = (path: string, from: number, to: number): Parameter[] => [
  { name: `${path}.residual.0.gamma`, shape: [from, 1, 1, 1] },
  ...convolution(`${path}.residual.2`, from, to, cube),
  { name: `${path}.residual.3.gamma`, shape: [to, 1, 1, 1] },
  ...convolution(`${path}.residual.6`, to, to, cube),
  ...(from === to ? [] : convolution(`${path}.shortcut`, from, to, point)),
];

const middle = (path: string, width: number): Parameter[] => [
  ...residual(`${path}.0`, width, width),
  { name: `${path}.1.norm.gamma`, shape: [width, 1, 1] },
  ...convolution(`${path}.1.to_qkv`, width, 3 * width, [1, 1]),
  ...convolution(`${path}.1.proj`, width, width, [1, 1]),
  ...residual(`${path}.2`, width, width),
];

const head = (path: string, from: number, to: number): Parameter[] => [
  { name: `${path}.0.gamma`, shape: [from, 1, 1, 1] },
  ...convolution(`${path}.2`, from, to, cube),
];

const convolution = (path: string, from: number, to: number, kernel: readonly number[]): Parameter[] => [
  { name: `${path}.weight`, shape: [to, from, ...kernel] },
  { name: `${path}.bias`, shape: [to] },
];
