import type { Tensor64 } from './tensor.ts';

import { sizeOf } from './tensor.ts';

/** Uniform numbers in [0, 1) from a 32-bit seed (mulberry32); the same on every machine. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Values uniform in [from, to). */
export function randomTensor(random: () => number, shape: readonly number[], from = -1, to = 1): Tensor64 {
  return { shape: [...shape], data: Float64Array.from({ length: sizeOf(shape) }, () => from + (to - from) * random()) };
}
