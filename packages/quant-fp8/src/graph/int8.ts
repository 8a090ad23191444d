import { apply, cast, expand, mul, reshape, sub } from '@musubi/onnx-graph';
import type { Graph, Node, ParameterSource, Value } from '@musubi/onnx-graph';
import { INT8_BLOCK_SIZE, INT8_ZERO_POINT } from '../int8.ts';
import { gatedScale } from './gated-scale.ts';
import { productInPieces } from './in-pieces.ts';
import { createScales, rewriteCodes } from './rewrite-codes.ts';
import { createWiden } from './widen.ts';
import type { Decoder } from './widen.ts';

export interface Int8Options {
  /**
   * What multiplies `x·Wᵀ`. `product`: ONNX Runtime's 8-bit product, which on the CPU rounds activations to 8 bits too and
   * is faster than float32 there, where sessions may pack weights (a copy of the codes in memory). `dequantize`: a float32
   * product of the dequantized weight, which leaves the codes in their file. Default `product`.
   */
  readonly forward?: 'product' | 'dequantize';
  /**
   * How weights are dequantized. `linear`: by DequantizeLinear, whose scale waits for the layer's input in a Concat.
   * `cast`: codes and scale wait in a Reshape, then Cast, Sub and Mul, of large weights in pieces: on a CPU in 0.6 of the
   * time; on CUDA a Reshape target lives on the host. Default `linear`; the numbers are equal.
   */
  readonly style?: 'linear' | 'cast';
  /** Of the 8-bit product: 4 rounds activations to 8 bits, 0 does not. Default 4. */
  readonly accuracyLevel?: 0 | 4;
}

/**
 * Makes a graph whose weights are 8-bit integers compute with them:
 *
 *     x·Wᵀ  by MatMulNBits of the codes     dY·W  with W = (q − 128)·s, of the same bytes
 *
 * Codes are uint8 initializers behind a Cast, whose scale is the parameter `<path>.scale_weight` of `source`
 * (`[out, in / 64, 1]`, float32); uint8 weights without one are left alone. A weight is dequantized for one product alone,
 * once its other operand is there. Apply it as `dequantizeFp8`.
 */
export function lowerInt8(graph: Graph, source: ParameterSource, options: Int8Options = {}): Graph {
  const { forward = 'product', accuracyLevel = 4, style = 'linear' } = options;
  const scales = createScales(source);
  const widen = createWiden(source, { decoderOf: () => integers, round: false });
  const packed = new Map<Value, readonly [codes: Value, scale: Value]>();

  return rewriteCodes(graph, {
    isCodes: (weight) => weight.dtype === 'uint8' && scales.find(weight) !== undefined,
    dequantized(codes, dtype, after, rewriter) {
      if (style === 'cast') return widen(codes, dtype, after, rewriter);
      const { target, map } = rewriter;
      const scale = scales.of(codes, target)!;
      const [out, blocks] = scale.shape.map(Number);
      const shape = [out!, blocks!];
      const zero = target.constant({ dtype: 'uint8', shape: [1, 1], data: Uint8Array.of(INT8_ZERO_POINT) });
      const factors = reshape(gatedScale(scale, after), shape);
      const attributes = { axis: 1, block_size: INT8_BLOCK_SIZE };
      return cast(apply('DequantizeLinear', [map(codes), factors, expand(zero, shape)], attributes), dtype);
    },
    product(node, codes, rewriter) {
      const { target, map } = rewriter;
      const alpha = Number(node.attributes['alpha'] ?? 1);
      const x = node.inputs[0]!;
      if (forward !== 'product' || !multipliesByTransposed(node) || x.dtype !== 'float32') {
        return style === 'cast' ? productInPieces(node, codes, rewriter, widen) : undefined;
      }
      const [q, scale] = packed.get(codes) ?? asBlocks(codes, source, target);
      packed.set(codes, [q, scale]);
      const [N, K] = codes.shape.map(Number);
      const attributes = { K: K!, N: N!, bits: 8, block_size: INT8_BLOCK_SIZE, accuracy_level: accuracyLevel };
      const names = alpha === 1 ? { name: node.name, outputNames: node.outputs.map((value) => value.name) } : {};
      const [y] = target.node('MatMulNBits', [map(x), q, scale], attributes, names);
      return [alpha === 1 ? y! : mul(y!, alpha)];
    },
  });
}

const integers: Decoder = { decode: (codes) => sub(cast(codes, 'float32'), INT8_ZERO_POINT) };

/** `x·Wᵀ`, as `fuseProducts` writes it, of an `x` that is not transposed itself. */
const multipliesByTransposed = ({ op, attributes }: Node): boolean =>
  op === 'FusedMatMul' && attributes['transB'] === 1 && !attributes['transA'];

/** The same bytes once more, in the shapes that MatMulNBits wants. */
function asBlocks({ name, shape, external }: Value, source: ParameterSource, target: Graph) {
  const [N, K] = shape.map(Number);
  const blocks = K! / INT8_BLOCK_SIZE;
  const scaleName = name.replace(/\.weight$/, '.scale_weight');
  const scale = source(scaleName)!;
  return [
    target.external(`${name}.blocks`, 'uint8', [N!, blocks, INT8_BLOCK_SIZE], external!),
    target.external(`${scaleName}.blocks`, 'float32', [N!, blocks], scale.external),
  ] as const;
}
