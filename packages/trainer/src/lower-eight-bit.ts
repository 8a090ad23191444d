import type { EightBitBase } from '@musubi/config';
import type { DequantizeOptions, Int8Options } from '@musubi/quant-fp8/graph';

import { dequantizeFp8, lowerInt8 } from '@musubi/quant-fp8/graph';
import { type Provider, hasFloat8, runsOn } from '@musubi/runtime';

import type { LowerWeights } from './training-model.ts';

export interface LowerEightBitOptions extends Int8Options {
  /**
   * What the graph will run on, default `cpu`: a processor, WebAssembly too, reads 8-bit floats faster as bits than as floats;
   * where there is no kernel for them, codes are looked up in a table of the 256 numbers; where there is none for the 8-bit
   * product, integers are widened for it.
   */
  readonly provider?: Provider;
  /** How 8-bit floats are read, where that does not follow from the provider. */
  readonly codes?: DequantizeOptions['codes'];
}

/**
 * What graphs do about base weights in 8 bits: each is widened for one product alone, when this runs.
 *
 * Numbers are `code · scale` in float32. The original rounds them to the type of the checkpoint, in which it computes; that
 * would cost two more passes, for a difference far below that of the quantization.
 */
export const lowerEightBit =
  (method: EightBitBase['method'], options: LowerEightBitOptions = {}): LowerWeights =>
  (graph, weights) => {
    const { provider = 'cpu', codes: given, ...integers } = options;
    const isProcessor = provider === 'cpu' || provider === 'wasm';
    if (method !== 'int8') {
      const codes = given ?? (isProcessor ? 'bits' : hasFloat8(provider) ? 'float8' : 'table');
      const style = isProcessor ? 'cast' : 'linear';
      return dequantizeFp8(graph, weights, { style, round: false, codes, hasFloat8: hasFloat8(provider) });
    }
    return lowerInt8(graph, weights, {
      ...(isProcessor ? { style: 'cast' } : {}),
      ...integers,
      ...(runsOn(provider, 'MatMulNBits') ? {} : { forward: 'dequantize' }),
    });
  };
