import type { Infer, OperatorSpec } from './infer.ts';

import {
  bitwise,
  broadcasting,
  comparison,
  elementwise,
  equality,
  gelu,
  gemm,
  identity,
  logical,
  matmul,
  reduction,
  softmax,
  where,
} from './infer-arithmetic.ts';
import {
  concat,
  constantOfShape,
  expand,
  gather,
  reshape,
  shapeOf,
  slice,
  split,
  squeeze,
  transpose,
  unsqueeze,
} from './infer-movement.ts';
import { convolution, resize } from './infer-spatial.ts';
import {
  attention,
  bitCast,
  cast,
  dequantize,
  matMulNBits,
  multiHeadAttention,
  normalization,
  rotary,
} from './infer-transformer.ts';

const operator =
  (domain: OperatorSpec['domain']) =>
  (inputs: number | readonly [number, number], infer: Infer, attributes: OperatorSpec['attributes'] = {}) => ({
    domain,
    inputs: typeof inputs === 'number' ? ([inputs, inputs] as const) : inputs,
    attributes,
    infer,
  });
const std = operator('');
const ms = operator('com.microsoft');

const transposed = { transA: 'int', transB: 'int', alpha: 'float' } as const;
const convolved = {
  kernel_shape: 'ints',
  pads: 'ints',
  strides: 'ints',
  dilations: 'ints',
  group: 'int',
  auto_pad: 'string',
} as const;
const resampled = { mode: 'string', coordinate_transformation_mode: 'string', nearest_mode: 'string' } as const;
const reduced = { keepdims: 'int', noop_with_empty_axes: 'int' } as const;
const normalized = { axis: 'int', epsilon: 'float', stash_type: 'int' } as const;

/** Every operator the builder knows: number of inputs, how output types follow from them, attributes. */
export const operators: Readonly<Record<string, OperatorSpec>> = {
  // elementwise, one input
  Neg: std(1, elementwise),
  Abs: std(1, elementwise),
  Exp: std(1, elementwise),
  Log: std(1, elementwise),
  Sqrt: std(1, elementwise),
  Reciprocal: std(1, elementwise),
  Tanh: std(1, elementwise),
  Sigmoid: std(1, elementwise),
  Erf: std(1, elementwise),
  Sin: std(1, elementwise),
  Cos: std(1, elementwise),
  Relu: std(1, elementwise),
  Sign: std(1, elementwise),
  Gelu: std(1, gelu, { approximate: 'string' }),
  QuickGelu: ms(1, elementwise, { alpha: 'float' }),
  Softmax: std(1, softmax, { axis: 'int' }),
  Identity: std(1, identity),
  Not: std(1, logical),
  // elementwise, broadcasting
  Add: std(2, broadcasting),
  Sub: std(2, broadcasting),
  Mul: std(2, broadcasting),
  Div: std(2, broadcasting),
  Pow: std(2, broadcasting),
  Min: std([1, Infinity], broadcasting),
  Max: std([1, Infinity], broadcasting),
  Equal: std(2, equality),
  Less: std(2, comparison),
  LessOrEqual: std(2, comparison),
  Greater: std(2, comparison),
  GreaterOrEqual: std(2, comparison),
  And: std(2, logical),
  Or: std(2, logical),
  BitwiseAnd: std(2, bitwise),
  Where: std(3, where),
  // products
  MatMul: std(2, matmul),
  Gemm: std([2, 3], gemm, { ...transposed, beta: 'float' }),
  FusedMatMul: ms(2, matmul, transposed),
  // convolution and resampling
  Conv: std([2, 3], convolution, convolved),
  Resize: std([1, 3], resize, resampled),
  // reductions and normalization
  ReduceSum: std([1, 2], reduction, reduced),
  ReduceMean: std([1, 2], reduction, reduced),
  ReduceL2: std([1, 2], reduction, reduced),
  ReduceMax: std([1, 2], reduction, reduced),
  LayerNormalization: std([2, 3], normalization(2), normalized),
  SimplifiedLayerNormalization: std(2, normalization(1), normalized),
  // movement
  Transpose: std(1, transpose, { perm: 'ints' }),
  Reshape: std(2, reshape, { allowzero: 'int' }),
  Concat: std([1, Infinity], concat, { axis: 'int' }),
  Split: std([1, 2], split, { axis: 'int', num_outputs: 'int' }),
  Slice: std([3, 5], slice),
  Gather: std(2, gather, { axis: 'int' }),
  Unsqueeze: std(2, unsqueeze),
  Squeeze: std(2, squeeze),
  Expand: std(2, expand),
  Cast: std(1, cast, { to: 'int', saturate: 'int' }),
  BitCast: { ...std(1, bitCast, { to: 'int' }), since: 26 },
  Shape: std(1, shapeOf, { start: 'int', end: 'int' }),
  ConstantOfShape: std(1, constantOfShape),
  // transformers and storage
  RotaryEmbedding: ms(4, rotary, { interleaved: 'int', num_heads: 'int', rotary_embedding_dim: 'int' }),
  Attention: { ...std(3, attention, { scale: 'float' }), since: 23 },
  MultiHeadAttention: ms(3, multiHeadAttention, { num_heads: 'int', scale: 'float' }),
  DequantizeLinear: std([2, 3], dequantize, { axis: 'int', block_size: 'int' }),
  MatMulNBits: ms(3, matMulNBits, { K: 'int', N: 'int', bits: 'int', block_size: 'int', accuracy_level: 'int' }),
};
