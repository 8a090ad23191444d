import type { Params, Value } from '@musubi/onnx-graph';

import {
  add,
  cast,
  chunk as inParts,
  concat,
  conv,
  div,
  mT,
  matmul,
  max,
  mul,
  reduceL2,
  reshape,
  silu,
  slice,
  softmax,
  squeeze,
  transpose,
  unsqueeze,
  upsampleNearest,
} from '@musubi/onnx-graph';

import type { Channels, Part } from './parts.ts';
import type { Chunk } from './past.ts';

import { part } from '../part.ts';
import { behindPast, keep, zeroFrames } from './past.ts';

/**
 * A convolution of 3 × 3 × 3 that sees two earlier frames and no later one. In front of the first frame there are zeros,
 * so that of its kernel only the last slice counts.
 *
 * @param x `[1, C, T, H, W]`
 * @returns `[1, to, T, H, W]`
 */
export function causalConv(p: Params, x: Value, to: number, chunk: Chunk): Value {
  const kernel = p.stored('weight', [to, channelsOf(x), 3, 3, 3]);
  const bias = p.tensor('bias', [to]);
  if (chunk === 'next') return conv(behindPast(p, x, 2), wide(kernel), bias, { pads: around });
  if (chunk === 'first') keep(p, concat([zeroFrames(x, 1), x], 2));
  return conv(x, wide(slice(kernel, 2, 2)), bias, { pads: around });
}

/** One row above and below, one column left and right. */
const around = [0, 1, 1, 0, 1, 1];

/** A convolution of single positions. */
export function pointConv(p: Params, x: Value, to: number): Value {
  return conv(x, wide(p.stored('weight', [to, channelsOf(x), 1, 1, 1])), p.tensor('bias', [to]));
}

/** `conv(silu(norm(conv(silu(norm(x)))))) + x`, with a convolution of points on `x` where the channels change. */
export function residualBlock(p: Params, x: Value, { from, to }: Channels, chunk: Chunk): Value {
  const y = part(p, 'residual.2', causalConv, activate(p.at('residual.0'), x), to, chunk);
  const z = part(p, 'residual.6', causalConv, activate(p.at('residual.3'), y), to, chunk);
  return add(z, from === to ? x : part(p, 'shortcut', pointConv, x, to));
}

/** `silu(norm(x))` */
export const activate = (p: Params, x: Value): Value => silu(norm(p, x));

/** Root-mean-square normalization over the channels: `x/max(‖x‖, 10⁻¹²)·√C·γ` */
function norm(p: Params, x: Value): Value {
  const C = channelsOf(x);
  const gamma = p.tensor('gamma', [C, ...x.shape.slice(2).map(() => 1)]);
  const length = max(reduceL2(x, [1]), 1e-12);
  return mul(div(x, length), mul(gamma, Math.sqrt(C)));
}

/** `x + W·softmax(qᵀ·k/√C)·v`, one head over all positions of a frame. */
export function attentionBlock(p: Params, x: Value): Value {
  const C = channelsOf(x);
  const positions = reshape(norm(p.at('norm'), squeeze(x, 2)), [C, 'h*w']);
  const [q, k, v] = inParts(part(p, 'to_qkv', product, positions, 3 * C), 3, 0); // [C, h·w] each
  const scores = matmul(mT(mul(q, 1 / Math.sqrt(C))), k); // [h·w, h·w]
  const y = matmul(v, mT(softmax(scores)));
  return add(x, reshape(part(p, 'proj', product, y, C), x.shape));
}

/** A convolution of single positions, `W·x + b`, on `x` `[C, h·w]`. */
function product(p: Params, x: Value, to: number): Value {
  const [C] = x.shape;
  const weight = reshape(p.tensor('weight', [to, Number(C), 1, 1]), [to, Number(C)]);
  return add(matmul(weight, x), unsqueeze(p.tensor('bias', [to]), 1));
}

/** Halves rows and columns, then frames where the part does; the first frame stays one. */
export function downsample(p: Params, x: Value, { to, inTime }: Part, chunk: Chunk): Value {
  const y = part(p, 'resample.1', frameConv, x, to, { pads: [0, 0, 0, 0, 1, 1], strides: [1, 2, 2] });
  if (!inTime) return y;
  return part(p, 'time_conv', halveFrames, y, to, chunk);
}

/** A convolution of 3 × 1 × 1 with stride 2 in time. Between runs it sees the last frame of the run before. */
function halveFrames(p: Params, x: Value, to: number, chunk: Chunk): Value {
  if (chunk === 'first') keep(p, x);
  if (chunk !== 'next') return x;
  return timeConv(p, behindPast(p, x, 1), to, [2, 1, 1]);
}

/** Doubles frames where the part does, then rows and columns; the first frame stays one. */
export function upsample(p: Params, x: Value, { to, inTime }: Part, chunk: Chunk): Value {
  const y = inTime ? part(p, 'time_conv', doubleFrames, x, chunk) : x;
  const larger = upsampleNearest(squeeze(y, 0), 2); // [C, T, 2H, 2W]
  return part(p, 'resample.1', frameConv, unsqueeze(larger, 0), to, { pads: around });
}

/**
 * A causal convolution of 3 × 1 × 1 whose two halves of channels become two frames. The first frame of a sequence takes
 * no part: it stays one, and the next one sees zeros instead of it.
 */
function doubleFrames(p: Params, x: Value, chunk: Chunk): Value {
  if (chunk === 'first') keep(p, zeroFrames(x, 2));
  if (chunk !== 'next') return x;
  const [N = 1, , T = 1, ...sides] = x.shape;
  const C = channelsOf(x);
  const pairs = reshape(timeConv(p, behindPast(p, x, 2), 2 * C, [1, 1, 1]), [2, C, T, ...sides]);
  return reshape(transpose(pairs, [1, 2, 0, 3, 4]), [N, C, 2 * Number(T), ...sides]);
}

/** A convolution of 3 × 3 on each frame. */
function frameConv(p: Params, x: Value, to: number, options: { pads: number[]; strides?: number[] }): Value {
  const kernel = unsqueeze(wide(p.stored('weight', [to, channelsOf(x), 3, 3])), 2);
  return conv(x, kernel, p.tensor('bias', [to]), options);
}

function timeConv(p: Params, x: Value, to: number, strides: number[]): Value {
  return conv(x, wide(p.stored('weight', [to, channelsOf(x), 3, 1, 1])), p.tensor('bias', [to]), { strides });
}

const wide = (x: Value): Value => cast(x, 'float32');

const channelsOf = (x: Value): number => Number(x.shape[1]);
