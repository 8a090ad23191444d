import { apply, cast, gate, mul, reshape } from '@musubi/onnx-graph';
import type { Graph, ParameterSource, Value } from '@musubi/onnx-graph';
import { decodeFp8 } from '../codec.ts';
import type { Fp8Format } from '../formats.ts';
import { groupingOf } from '../grouping.ts';
import type { Grouping } from '../grouping.ts';
import { gatedScale } from './gated-scale.ts';
import { createScales, rewriteCodes } from './rewrite-codes.ts';

export interface DequantizeOptions {
  /**
   * `linear`: DequantizeLinear, whose scale waits for the layer's input in a Concat; it spreads over all threads and makes one
   * wide copy. `cast`: codes and scale wait in a Reshape, then Cast and Mul, two wide copies; on CUDA a Reshape target lives
   * on the host. Default `linear`.
   */
  readonly style?: 'linear' | 'cast';
  /**
   * `float8`: codes are initializers of 8-bit floats. `table`: they are bytes, looked up in a table of 256 numbers, for
   * devices that know no 8-bit floats (WebGPU); the style is that of `cast`. Default `float8`; results are equal.
   */
  readonly codes?: 'float8' | 'table';
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
  const build = form === 'table' || style === 'cast' ? inPasses : linearly;
  const scales = createScales(source);
  const bytes = new Map<Value, Value>();

  return rewriteCodes(graph, {
    isCodes: ({ dtype }) => dtype.startsWith('float8'),
    dequantized(codes, dtype, after, { target, map }) {
      const scale = scales.of(codes, target);
      if (!scale && form === 'float8') return after.length === 0 ? undefined : cast(gate(map(codes), after), dtype);
      const stored = form === 'table' ? once(bytes, codes, () => asBytes(codes, target)) : map(codes);
      const decode = form === 'table' ? lookUp(codes.dtype) : (value: Value) => cast(value, 'float32');
      if (!scale) return cast(decode(after.length === 0 ? stored : gate(stored, after)), dtype);
      const grouping = groupingOf(codes.shape.map(Number), scale.shape.map(Number), codes.name);
      const product = build(stored, scale, grouping, after, decode);
      return cast(round ? cast(product, scale.dtype) : product, dtype);
    },
  });
}

type Decode = (codes: Value) => Value;
type Build = (codes: Value, scale: Value, grouping: Grouping, after: readonly Value[], decode: Decode) => Value;

/** `decode(codes) · scale`, in rows of groups. */
const inPasses: Build = (codes, scale, { mode, size }, after, decode) => {
  const delayed = (value: Value) => (after.length === 0 ? value : gate(value, after));
  const [wide, factors] = [decode(delayed(codes)), cast(delayed(scale), 'float32')];
  if (mode !== 'block') return mul(wide, factors);
  const [out, blocks] = scale.shape.map(Number);
  return reshape(mul(reshape(wide, [out!, blocks!, size]), factors), codes.shape);
};

/** `DequantizeLinear(codes, scale)`. */
const linearly: Build = (codes, scale, { mode, size }, after) => {
  const factors = cast(gatedScale(scale, after), 'float32');
  const [out, blocks] = scale.shape.map(Number);
  if (mode === 'tensor') return apply('DequantizeLinear', [codes, reshape(factors, [])]);
  if (mode === 'channel') return apply('DequantizeLinear', [codes, reshape(factors, [out!])], { axis: 0 });
  const attributes = { axis: 1, block_size: size };
  return apply('DequantizeLinear', [codes, reshape(factors, [out!, blocks!])], attributes);
};

/** The same bytes of the file without a meaning. */
function asBytes({ name, shape, external }: Value, target: Graph): Value {
  return target.external(`${name}.bytes`, 'uint8', shape.map(Number), external!);
}

/** Bytes to numbers by a table of all codes. Indices are int32: devices without 8-bit floats have no int64 either. */
function lookUp(dtype: string): Decode {
  const format: Fp8Format = dtype === 'float8e5m2' ? 'e5m2' : 'e4m3';
  const numbers = decodeFp8(
    Uint8Array.from({ length: 256 }, (_, code) => code),
    format,
  );
  return (codes) => {
    const table = codes.graph.constant({ dtype: 'float32', shape: [256], data: numbers });
    return apply('Gather', [table, cast(codes, 'int32')]);
  };
}

function once(made: Map<Value, Value>, key: Value, make: () => Value): Value {
  const value = made.get(key) ?? make();
  made.set(key, value);
  return value;
}
