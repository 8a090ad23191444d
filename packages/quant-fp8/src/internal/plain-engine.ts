import { fromFloat32, toFloat32 } from '@musubi/safetensors';
import { decodeFp8, encodeClamped } from '../codec.ts';
import { FP8_FORMATS } from '../formats.ts';
import { PIECE, WINDOW } from './engine.ts';
import type { Engine } from './engine.ts';
import { smallestScale } from './weight-dtype.ts';
import type { WeightDtype } from './weight-dtype.ts';

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

  const decode: Engine['decode'] = (format, groups, size, firstCode) => {
    decoded.set(decodeFp8(codes.subarray(firstCode, firstCode + groups * size), format));
    for (let g = 0; g < groups; g++) {
      const scale = scales[g]!;
      for (let i = g * size; i < (g + 1) * size; i++) decoded[i]! *= scale;
    }
  };

  return {
    kind: 'plain',
    raw,
    codes,
    scales,
    widen(dtype, first, count) {
      wide.set(toFloat32(rawOf(dtype, first, count), dtype));
    },
    maxima(groups, size) {
      let all = 0;
      for (let g = 0; g < groups; g++) {
        let largest = 0;
        for (let i = g * size; i < (g + 1) * size; i++) largest = Math.max(largest, Math.abs(wide[i]!));
        scales[g] = largest;
        all = Math.max(all, largest);
      }
      return all;
    },
    toScales(format, dtype, groups) {
      const { max } = FP8_FORMATS[format];
      const quotients = scales.subarray(0, groups).map((largest) => largest / max);
      const smallest = smallestScale(dtype);
      const rounded = toFloat32(fromFloat32(quotients, dtype), dtype);
      for (let g = 0; g < groups; g++) scales[g] = Math.max(rounded[g]!, smallest);
    },
    encode(format, dtype, groups, size, firstCode) {
      for (let g = 0; g < groups; g++) {
        const group = wide.subarray(g * size, (g + 1) * size);
        codes.set(encodeClamped(group, scales[g]!, format), firstCode + g * size);
      }
      decode(format, groups, size, firstCode);
      const count = groups * size;
      const back = toFloat32(fromFloat32(decoded.subarray(0, count), dtype), dtype);
      let [norm, distance] = [0, 0];
      for (let i = 0; i < count; i++) {
        norm += wide[i]! ** 2;
        distance += (wide[i]! - back[i]!) ** 2;
      }
      return { norm, distance };
    },
    decode,
    narrow(dtype, first, count) {
      rawOf(dtype, first, count).set(fromFloat32(decoded.subarray(0, count), dtype));
    },
  };
}
