import {
  apply,
  cast,
  concat,
  createParams,
  formatShape,
  gate,
  int64s,
  mul,
  reshape,
  rewriteGraph,
  slice,
} from '@musubi/onnx-graph';
import type { DataType, Graph, ParameterSource, Value } from '@musubi/onnx-graph';
import { groupingOf } from '../grouping.ts';
import type { Grouping } from '../grouping.ts';
import { scaleKey } from '../targets.ts';

export interface DequantizeOptions {
  /**
   * `cast` for the CPU: the codes wait for the layer's input in a Reshape, then Cast and Mul. `linear` for CUDA, where a
   * Reshape target lives on the host: DequantizeLinear, whose scale waits in a Concat. Default `cast`.
   */
  readonly style?: 'cast' | 'linear';
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
 * Apply it last, to a graph whose products are fused, before or after `gateWeights`. Sessions must not fold constants.
 *
 * @throws {Fp8Error} `SHAPE_MISMATCH` when a scale does not fit its weight
 */
export function dequantizeFp8(graph: Graph, source: ParameterSource, options: DequantizeOptions = {}): Graph {
  const { style = 'cast', round = true } = options;
  const build = style === 'linear' ? linearly : byCast;
  const scales = new Map<string, Value | undefined>();

  /** The numbers of the codes as `dtype`, not before `after`. */
  const dequantized = (codes: Value, dtype: DataType, after: readonly Value[]): Value => {
    const scale = scaleOf(codes, source, scales);
    if (!scale) return cast(after.length === 0 ? codes : gate(codes, after), dtype);
    const grouping = groupingOf(codes.shape.map(Number), scale.shape.map(Number), codes.name);
    const product = build(codes, scale, grouping, after);
    return cast(round ? cast(product, scale.dtype) : product, dtype);
  };

  return rewriteGraph(graph, (node, { target, map, mapAll }) => {
    const [result] = node.outputs;
    const behind = codesBehindCast(result);
    if (result && behind) return [dequantized(map(behind), result.dtype, [])];

    const weights = node.inputs.slice(0, 2).map(codesBehindCast);
    if (!products.has(node.op) || weights.every((codes) => !codes)) return undefined;
    const inputs = mapAll(node.inputs);
    weights.forEach((codes, i) => {
      const other = weights[1 - i] ? undefined : inputs[1 - i];
      if (codes) inputs[i] = dequantized(map(codes), inputs[i]!.dtype, other ? [other] : []);
    });
    return target.node(node.op, inputs, node.attributes, {
      name: node.name,
      domain: node.domain,
      outputNames: node.outputs.map((value) => value.name),
    });
  }).graph;
}

const products: ReadonlySet<string> = new Set(['MatMul', 'FusedMatMul', 'Gemm']);

/** The codes that a value is a Cast of, directly or through the Reshape with which `gateWeights` delays it. */
function codesBehindCast(value: Value | null | undefined): Value | undefined {
  if (value?.producer?.op !== 'Cast') return undefined;
  const [input] = value.producer.inputs;
  const codes = input?.producer?.op === 'Reshape' ? input.producer.inputs[0] : input;
  return codes?.kind === 'external' && codes.dtype.startsWith('float8') ? codes : undefined;
}

/** The scale of a weight as an initializer, once for all its uses. */
function scaleOf(codes: Value, source: ParameterSource, made: Map<string, Value | undefined>): Value | undefined {
  const name = scaleKey(codes.name);
  if (made.has(name)) return made.get(name);
  const found = name === codes.name ? undefined : source(name);
  const scale = found && createParams(codes.graph, source).stored(name, found.shape);
  made.set(name, scale);
  return scale;
}

type Build = (codes: Value, scale: Value, grouping: Grouping, after: readonly Value[]) => Value;

/** `Cast(codes) · scale`, in rows of groups. */
const byCast: Build = (codes, scale, { mode, size }, after) => {
  const delayed = (value: Value) => cast(after.length === 0 ? value : gate(value, after), 'float32');
  const [wide, factors] = [delayed(codes), delayed(scale)];
  if (mode !== 'block') return mul(wide, factors);
  const [out, blocks] = scale.shape.map(Number);
  return reshape(mul(reshape(wide, [out!, blocks!, size]), factors), codes.shape);
};

/** `DequantizeLinear(codes, scale)`. */
const linearly: Build = (codes, scale, { mode, size }, after) => {
  const factors = cast(after.length === 0 ? scale : appended(scale, after), 'float32');
  const [out, blocks] = scale.shape.map(Number);
  if (mode === 'tensor') return apply('DequantizeLinear', [codes, reshape(factors, [])]);
  if (mode === 'channel') return apply('DequantizeLinear', [codes, reshape(factors, [out!])], { axis: 0 });
  const attributes = { axis: 1, block_size: size };
  return apply('DequantizeLinear', [codes, reshape(factors, [out!, blocks!])], attributes);
};

/** `scale` with nothing appended that only exists once all of `after` have been computed. */
function appended(scale: Value, after: readonly Value[]): Value {
  const { graph } = scale;
  const rows = scale.shape.length === 0 ? reshape(scale, [1]) : scale;
  const none = [0, ...rows.shape.slice(1)];
  const nothing = after.map((value) => {
    const empty = slice(value.shape.length === 0 ? reshape(value, [1]) : value, 0, 0, 0);
    if (formatShape(empty.shape) === formatShape(none)) return cast(empty, scale.dtype);
    return cast(apply('Reshape', [empty, int64s(graph, none.map(Number))], { allowzero: 1 }), scale.dtype);
  });
  return concat([rows, ...nothing], 0);
}
