import { unknownName } from '../errors.ts';

/** Element types of a transformer's arithmetic. */
export type FloatDtype = 'float32' | 'bfloat16' | 'float16';

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** Rounds to the nearest number of an element type, ties to even. */
export const roundTo: Record<FloatDtype, (value: number) => number> = {
  float32: Math.fround,
  bfloat16: (value) => {
    float[0] = value;
    if (!Number.isFinite(value)) return value;
    bits[0] = (bits[0]! + 0x7fff + ((bits[0]! >>> 16) & 1)) & 0xffff0000;
    return float[0];
  },
  float16: (value) => {
    const x = Math.fround(value);
    const magnitude = Math.abs(x);
    if (!(magnitude < 65520)) return Number.isNaN(x) ? x : Math.sign(x) * Infinity;
    // Spacing of float16 numbers at this size; 2^-24 below the smallest normal number 2^-14.
    const spacing = 2 ** (Math.max(Math.floor(Math.log2(magnitude || 2 ** -14)), -14) - 10);
    const steps = magnitude / spacing;
    const down = Math.floor(steps);
    const up = steps - down > 0.5 || (steps - down === 0.5 && down % 2 === 1);
    return Math.sign(x) * (down + (up ? 1 : 0)) * spacing;
  },
};

/** @throws {SamplerError} `SAMPLER_OPTION` with the known types */
export function assertDtype(dtype: string): asserts dtype is FloatDtype {
  if (Object.hasOwn(roundTo, dtype)) return;
  throw unknownName('SAMPLER_OPTION', 'dtype', String(dtype), 'an element type', Object.keys(roundTo));
}
