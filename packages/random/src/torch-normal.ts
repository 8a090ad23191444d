import { roundToBfloat16 } from './bfloat16.ts';
import { cosineAndSine, logOf24Bits } from './float32-functions.ts';
import type { MersenneTwister } from './mersenne-twister.ts';

/** From this many values on, PyTorch fills a tensor with uniforms and transforms them in groups of this size. */
export const GROUP = 16;

/** Element types in which normal numbers can be drawn. */
export type NormalDtype = 'float32' | 'bfloat16';

/**
 * Standard normals by the Box-Muller transform, in groups of 16 with 8 pairs each:
 *
 *     r = √(−2·ln(1 − x_j)),   θ = 2π·x_{j+8},   z_j = r·cos θ,   z_{j+8} = r·sin θ
 *
 * where x are uniforms with the bits of the element type (24 for float32, 8 for bfloat16). When the count is no
 * multiple of 16, the last 16 values are made anew from 16 further outputs.
 */
export function fillNormal(engine: MersenneTwister, count: number, dtype: NormalDtype): Float32Array {
  const { mask, transform } = kinds[dtype];
  const words = new Uint32Array(count);
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) words[i] = engine.next() & mask;
  for (let start = 0; start + GROUP <= count; start += GROUP) transform(words, values, start);
  if (count % GROUP !== 0) {
    for (let i = count - GROUP; i < count; i++) words[i] = engine.next() & mask;
    transform(words, values, count - GROUP);
  }
  return values;
}

type Transform = (words: Uint32Array, values: Float32Array, start: number) => void;

const TWO_PI = Math.fround(2 * Math.PI);
const pair = new Float32Array(2);

function transformFloat32(words: Uint32Array, values: Float32Array, start: number): void {
  for (let j = start; j < start + GROUP / 2; j++) {
    const r = Math.fround(Math.sqrt(-2 * logOf24Bits(2 ** 24 - words[j]!)));
    cosineAndSine(Math.fround(TWO_PI * (words[j + GROUP / 2]! / 2 ** 24)), pair);
    // Adding the mean, zero, turns −0 into +0.
    values[j] = r * pair[0]! + 0;
    values[j + GROUP / 2] = r * pair[1]! + 0;
  }
}

// A bfloat16 uniform has 256 values, so three small tables hold every intermediate result. Each operation rounds.
const uniforms = Array.from({ length: 256 }, (_, word) => word / 256);
const angles = uniforms.map((v) => roundToBfloat16(2 * Math.PI * v));
const cosines = Float32Array.from(angles, (theta) => roundToBfloat16(Math.cos(theta)));
const sines = Float32Array.from(angles, (theta) => roundToBfloat16(Math.sin(theta)));
const radii = Float32Array.from(uniforms, (x) => {
  const logarithm = roundToBfloat16(Math.log(roundToBfloat16(1 - x)));
  return roundToBfloat16(Math.sqrt(Math.abs(2 * logarithm)));
});

function transformBfloat16(words: Uint32Array, values: Float32Array, start: number): void {
  for (let j = start; j < start + GROUP / 2; j++) {
    const r = radii[words[j]!]!;
    const angle = words[j + GROUP / 2]!;
    values[j] = roundToBfloat16(r * cosines[angle]!) + 0;
    values[j + GROUP / 2] = roundToBfloat16(r * sines[angle]!) + 0;
  }
}

const kinds: Record<NormalDtype, { mask: number; transform: Transform }> = {
  float32: { mask: 0xffffff, transform: transformFloat32 },
  bfloat16: { mask: 0xff, transform: transformBfloat16 },
};
