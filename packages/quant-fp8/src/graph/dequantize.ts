import { apply, cast, mul, onnxCode, reshape } from '@musubi/onnx-graph';
import type { Graph, ParameterSource, Value } from '@musubi/onnx-graph';
import { decodeFp8 } from '../codec.ts';
import { formatSpec } from '../formats.ts';
import type { Fp8Format } from '../formats.ts';
import { gatedScale } from './gated-scale.ts';
import { productInPieces } from './in-pieces.ts';
import { createScales, rewriteCodes } from './rewrite-codes.ts';
import { createWiden, scalingOf } from './widen.ts';
import type { Decoder, Scaling } from './widen.ts';

export interface DequantizeOptions {
  /**
   * `linear`: DequantizeLinear, whose scale waits for the layer's input in a Concat. `cast`: codes and scale wait in a
   * Reshape, then Cast and Mul in place, large weights in pieces; but devices read the target of a Reshape on the host, for
   * which it waits. Default `linear`.
   */
  readonly style?: 'linear' | 'cast';
  /**
   * How codes become numbers; these are equal. Default `float8`.
   *
   * - `float8`: they are initializers of 8-bit floats, which every release with 8-bit floats reads.
   * - `bits`: they are bytes, moved to where a float16 has its exponent; the style is that of `cast`. Twice as fast on
   *   a CPU, where 8-bit floats are read one by one. Asks for BitCast (operator set 26; ONNX Runtime 1.29 has it) and finite codes.
   * - `table`: they are bytes, looked up in a table of 256 numbers, for devices that know no 8-bit floats (WebGPU). In the
   *   style `linear` they become indices by DequantizeLinear with a scale of 1, which waits.
   */
  readonly codes?: 'float8' | 'bits' | 'table';
  /**
   * Whether the device has 8-bit floats at all, so that a Cast of codes without a scale may stay outside of products. Default
   * true, for `table` false.
   */
  readonly hasFloat8?: boolean;
  /**
   * Round each number to the dtype of its scale, as the original program does. Default true; false saves two passes where
   * scales are 16 bits wide, for a difference far below that of the quantization.
   */
  readonly round?: boolean;
}

/**
 * Makes a graph whose weights are FP8 codes compute with the numbers they stand for:
 *
 *     ŵ = round(decode(q) · s)
 *
 * Codes are initializers of 8-bit floats behind a Cast, as `createParams` gives them for a file that `quantizeFile` wrote;
 * the scale of `<path>.weight` is the parameter `<path>.scale_weight` of `source`. Where a product uses them they are
 * dequantized for this product alone, once its other operand is there: ONNX Runtime would otherwise widen all weights
 * before the first product. Codes without a scale are taken as they are.
 *
 * Apply it last, to a graph whose products are fused, before or after `gateWeights` (codes without a scale outside of
 * products are gated by that). Sessions must not fold constants.
 *
 * @throws {Fp8Error} `SHAPE_MISMATCH` when a scale does not fit its weight
 */
export function dequantizeFp8(graph: Graph, source: ParameterSource, options: DequantizeOptions = {}): Graph {
  const { style = 'linear', round = true, codes: form = 'float8' } = options;
  const isLinear = form === 'float8' && style === 'linear';
  const { hasFloat8 = form !== 'table' } = options;
  const scales = createScales(source);
  const decoderOf = ({ dtype }: Value) => decoders[form](dtype === 'float8e5m2' ? 'e5m2' : 'e4m3', style);
  const widen = createWiden(source, { decoderOf, round });

  return rewriteCodes(graph, {
    isCodes: ({ dtype }) => dtype.startsWith('float8'),
    dequantized(codes, dtype, after, rewriter) {
      const hasScale = scales.find(codes) !== undefined;
      if (hasScale && isLinear) {
        const scaling = scalingOf(codes, scales.of(codes, rewriter.target)!);
        const numbers = linearly(rewriter.map(codes), scaling, after);
        return cast(round ? cast(numbers, scaling.scale.dtype) : numbers, dtype);
      }
      // Where there are 8-bit floats, the Cast that is there does.
      if (!hasScale && hasFloat8 && after.length === 0) return undefined;
      return widen(codes, dtype, after, rewriter);
    },
    product: (node, codes, rewriter) => (isLinear ? undefined : productInPieces(node, codes, rewriter, widen)),
  });
}

/** `DequantizeLinear(codes, scale)`. */
function linearly(codes: Value, { scale, grouping: { mode, size } }: Scaling, after: readonly Value[]): Value {
  const factors = cast(gatedScale(scale, after), 'float32');
  const [out, blocks] = scale.shape.map(Number);
  if (mode === 'tensor') return apply('DequantizeLinear', [codes, reshape(factors, [])]);
  if (mode === 'channel') return apply('DequantizeLinear', [codes, reshape(factors, [out!])], { axis: 0 });
  const attributes = { axis: 1, block_size: size };
  return apply('DequantizeLinear', [codes, reshape(factors, [out!, blocks!])], attributes);
}

const decoders: Readonly<
  Record<NonNullable<DequantizeOptions['codes']>, (format: Fp8Format, style: 'linear' | 'cast') => Decoder>
> = {
  float8: () => ({ decode: (codes) => cast(codes, 'float32') }),
  bits: readBits,
  table: lookUp,
};

/**
 * An 8-bit float is a sign, an exponent and a mantissa as a float16 is. As an integer of 16 bits it is moved to where a
 * float16 has these; its sign then fills all bits above, of which only the first one stays. What is left is the difference
 * of the biases, a power of two. Numbers below the normal ones are that in both, so none needs care.
 */
function readBits(format: Fp8Format): Decoder {
  const { mantissaBits, bias } = formatSpec(format);
  const moved = 10 - mantissaBits;
  const decode = (codes: Value) => {
    const int16 = (x: number) => codes.graph.constant({ dtype: 'int16', shape: [], data: Int16Array.of(x) });
    const shifted = mul(cast(codes, 'int16'), int16(2 ** moved));
    // Exponents of E5M2 are as wide as those of a float16: no bit lies between them and the sign.
    const bits = format === 'e5m2' ? shifted : apply('BitwiseAnd', [shifted, int16(0x8000 | (2 ** (7 + moved) - 1))]);
    return cast(apply('BitCast', [bits], { to: onnxCode('float16') }), 'float32');
  };
  return { as: 'int8', decode, unit: 2 ** (15 - bias) };
}

/** Bytes to numbers by a table of all codes. Indices are int32: devices without 8-bit floats have no int64 either. */
function lookUp(format: Fp8Format, style: 'linear' | 'cast'): Decoder {
  const numbers = decodeFp8(
    Uint8Array.from({ length: 256 }, (_, code) => code),
    format,
  );
  const decode = (codes: Value) => {
    const table = codes.graph.constant({ dtype: 'float32', shape: [256], data: numbers });
    return apply('Gather', [table, cast(codes, 'int32')]);
  };
  return style === 'linear' ? { as: 'uint8', decode, wait: waitInScale } : { as: 'uint8', decode };
}

/** The same bytes as float32, once `after` are there, without the host. */
function waitInScale(codes: Value, after: readonly Value[]): Value {
  if (after.length === 0) return codes;
  const one = codes.graph.constant({ dtype: 'float32', shape: [], data: Float32Array.of(1) });
  return apply('DequantizeLinear', [codes, reshape(gatedScale(one, after), [])]);
}
