import { fromFloat32, toFloat32 } from '@musubi/safetensors';
import { decodeFp8, encodeScaled } from '../codec.ts';
import { PIECE, WINDOW } from './engine.ts';
import type { Engine } from './engine.ts';
import type { WeightDtype } from './scale.ts';

/** The loops in JavaScript, on the conversions of the safetensors package. */
export function createPlainEngine(): Engine {
  const raw = new Uint8Array(WINDOW * 4);
  const codes = new Uint8Array(WINDOW);
  const scales = new Float32Array(PIECE);
  const wide = new Float32Array(PIECE);
  const decoded = new Float32Array(PIECE);
  const rawOf = (dtype: WeightDtype, first: number, count: number) => {
    const width = dtype === 'F32' ? 4 : 2;
    return raw.subarray(first * width, (first + count) * width);
  };

  return {
    kind: 'plain',
    raw,
    codes,
    scales,
    widen(dtype, first, count) {
      wide.set(toFloat32(rawOf(dtype, first, count), dtype));
    },
    maxima(groups, size, firstGroup) {
      for (let g = 0; g < groups; g++) {
        let largest = 0;
        for (let i = g * size; i < (g + 1) * size; i++) largest = Math.max(largest, Math.abs(wide[i]!));
        scales[firstGroup + g] = largest;
      }
    },
    encode(format, groups, size, firstGroup, firstCode) {
      for (let g = 0; g < groups; g++) {
        const group = wide.subarray(g * size, (g + 1) * size);
        codes.set(encodeScaled(group, scales[firstGroup + g]!, format), firstCode + g * size);
      }
    },
    decode(format, groups, size, firstGroup, firstCode) {
      decoded.set(decodeFp8(codes.subarray(firstCode, firstCode + groups * size), format));
      for (let g = 0; g < groups; g++) {
        const scale = scales[firstGroup + g]!;
        for (let i = g * size; i < (g + 1) * size; i++) decoded[i]! *= scale;
      }
    },
    narrow(dtype, first, count) {
      rawOf(dtype, first, count).set(fromFloat32(decoded.subarray(0, count), dtype));
    },
    round(dtype, count) {
      if (dtype !== 'F32') decoded.set(toFloat32(fromFloat32(decoded.subarray(0, count), dtype), dtype));
    },
    errors(count) {
      let [norm, distance] = [0, 0];
      for (let i = 0; i < count; i++) {
        norm += wide[i]! ** 2;
        distance += (wide[i]! - decoded[i]!) ** 2;
      }
      return { norm, distance };
    },
  };
}
