import type { EightBitBase } from '@musubi/config';
import type { Int8Options } from '@musubi/quant-fp8/graph';

import { dequantizeFp8, lowerInt8 } from '@musubi/quant-fp8/graph';

import type { LowerWeights } from './training-model.ts';

export interface EightBitOptions extends Int8Options {
  readonly hasFloat8?: boolean;
}

/**
 * What graphs do about base weights in 8 bits: each is widened for one product alone, when this runs.
 *
 * Numbers are `code · scale` in float32. The original rounds them to the type of the checkpoint, in which it computes; that
 * would cost two more passes, for a difference far below that of the quantization.
 *
 * @param options of 8-bit integers, and whether the device knows 8-bit floats; else they are looked up in a table
 */
export const lowerEightBit =
  (method: EightBitBase['method'], { hasFloat8 = true, ...options }: EightBitOptions = {}): LowerWeights =>
  (graph, weights) =>
    method === 'int8'
      ? lowerInt8(graph, weights, options)
      : dequantizeFp8(graph, weights, { round: false, codes: hasFloat8 ? 'float8' : 'table' });
