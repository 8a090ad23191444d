import type { Params, Value } from '@musubi/onnx-graph';

import { concat, full, slice } from '@musubi/onnx-graph';

/**
 * What a graph computes of a sequence: a picture `alone`, the `first` frame of a longer one, or the `next` frames of it.
 * What a convolution in time needs of earlier frames leaves one run as outputs, named by its weights, and enters the next
 * as inputs, so that memory does not grow with the sequence.
 */
export type Chunk = 'alone' | 'first' | 'next';

const inputPrefix = 'past:';
const outputPrefix = 'kept:';

/** The inputs of the next run from the outputs of a run. */
export const pastOf = <T>(outputs: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(
    Object.entries(outputs).flatMap(([name, value]) =>
      name.startsWith(outputPrefix) ? [[inputPrefix + name.slice(outputPrefix.length), value]] : [],
    ),
  );

/** `x` `[1, C, T, H, W]` behind the last `count` frames of the run before, `[1, C, count + T, H, W]`. */
export function behindPast(p: Params, x: Value, count: number): Value {
  const [N = 1, C = 1, T, ...sides] = x.shape;
  const past = p.graph.input(inputPrefix + p.path, 'float32', [N, C, count, ...sides]);
  const frames = concat([past, x], 2);
  keep(p, slice(frames, 2, Number(T)));
  return frames;
}

/** Gives frames to the next run. */
export function keep(p: Params, frames: Value): void {
  p.graph.output(outputPrefix + p.path, frames);
}

/** Frames of zeros, of the size of those of `x`. */
export function zeroFrames(x: Value, count: number): Value {
  const [N = 1, C = 1, , ...sides] = x.shape;
  return full(x.graph, [N, C, count, ...sides], 0);
}
