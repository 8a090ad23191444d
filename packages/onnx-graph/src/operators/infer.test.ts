import { expect, test } from 'vitest';

import type { Attributes, Dim, Value } from '../graph.ts';

import { Graph } from '../graph.ts';
import { int64s } from '../ops.ts';
import { operators } from './table.ts';

const graph = new Graph('refusals');
let made = 0;
const f32 = (...shape: Dim[]) => graph.input(`f${made++}`, 'float32', shape);
const f64 = (...shape: Dim[]) => graph.input(`d${made++}`, 'float64', shape);
const i64 = (...shape: Dim[]) => graph.input(`i${made++}`, 'int64', shape);
const bool = (...shape: Dim[]) => graph.input(`b${made++}`, 'bool', shape);
const bytes = (...shape: Dim[]) => graph.input(`u${made++}`, 'uint8', shape);
const ints = (...values: number[]) => int64s(graph, values);
const scales = (...xs: number[]) =>
  graph.constant({ dtype: 'float32', shape: [xs.length], data: Float32Array.from(xs) });

type Call = readonly [op: string, inputs: (Value | null)[], attributes?: Attributes, types?: Dim[]];

/** The errors of calls that must be refused, one a line; names of inputs are left out, as they only count. */
function refusals(...calls: Call[]): string {
  const messages = calls.map(([op, inputs, attributes = {}, shape]) => {
    const options = shape ? { types: [{ dtype: 'float32', shape } as const] } : {};
    try {
      graph.node(op, inputs, attributes, { name: 'node', ...options });
    } catch (error) {
      if (error instanceof Error && 'code' in error) return `${String(error.code)} ${error.message}`;
      throw error;
    }
    throw new Error(`${op} was accepted`);
  });
  return messages.map((m) => m.replaceAll(/\b[fdibu]\d+\b/g, 'x').replaceAll(/const\/\w+_\d+/g, 'const')).join('\n');
}

test('every operator refuses to be called without inputs', () => {
  for (const op of Object.keys(operators)) {
    expect(() => graph.node(op, [])).toThrow(expect.objectContaining({ code: 'UNKNOWN_VALUE' }));
  }
});

test('number of inputs, attributes and unknown operators', () => {
  expect(
    refusals(
      ['Add', [f32(2)]],
      ['Add', [f32(2), f32(2), f32(2)]],
      ['Add', [f32(2), null]],
      ['Gemm', [f32(2, 2)]],
      ['Concat', []],
      ['Softmax', [f32(2)], { axes: 1 }],
      ['Softmax', [f32(2)], { axis: 0.5 }],
      ['Transpose', [f32(2, 3)], { perm: [0.5, 1] }],
      ['Gelu', [f32(2)], { approximate: 'sigmoid' }],
      ['Exp', [f32(2)], { constructor: 1 }],
      ['Expp', [f32(2)]],
      ['constructor', [f32(2)]],
    ),
  ).toMatchInlineSnapshot(`
    "UNKNOWN_VALUE node: Add takes 2 inputs, not 1. Mend the call.
    UNKNOWN_VALUE node: Add takes 2 inputs, not 3. Mend the call.
    UNKNOWN_VALUE node: Add needs input 1. Give it.
    UNKNOWN_VALUE node: Gemm takes 2 to 3 inputs, not 1. Mend the call.
    UNKNOWN_VALUE node: Concat takes 1 or more inputs, not 0. Mend the call.
    BAD_ATTRIBUTE node: Softmax has no attribute axes. It has axis.
    BAD_ATTRIBUTE node: Softmax with axis = 0.5. Its kind is int.
    BAD_ATTRIBUTE node: Transpose with perm = 0.5,1. Its kind is ints.
    BAD_ATTRIBUTE node: Gelu with approximate = sigmoid. It is none or tanh.
    BAD_ATTRIBUTE node: Exp has no attribute constructor. It has none.
    UNKNOWN_OPERATOR node: operator Expp is not in the table. Add it to operators/table.ts of @musubi/onnx-graph, or give its output types.
    UNKNOWN_OPERATOR node: operator constructor is not in the table. Add it to operators/table.ts of @musubi/onnx-graph, or give its output types."
  `);
});

test('elementwise, one input', () => {
  expect(
    refusals(['Exp', [i64(2)]], ['Tanh', [bool(2)]], ['Gelu', [bytes(2)]], ['Not', [f32(2)]], ['Softmax', [f32()]]),
  ).toMatchInlineSnapshot(`
    "DTYPE_MISMATCH node: Exp of x, which is int64. It computes with float16, bfloat16, float32 or float64.
    DTYPE_MISMATCH node: Tanh of x, which is bool. It computes with float16, bfloat16, float32 or float64.
    DTYPE_MISMATCH node: Gelu of x, which is uint8. It computes with float16, bfloat16, float32 or float64.
    DTYPE_MISMATCH node: Not of x, which is float32. It takes bool.
    SHAPE_MISMATCH node: Softmax of x []: there is no axis -1. Mend the shapes on this line."
  `);
});

test('elementwise, broadcasting', () => {
  expect(
    refusals(
      ['Add', [f32('B', 3), f32('S', 3)]],
      ['Mul', [f32('B', 3), f32(4)]],
      ['Add', [f32(2), f64(2)]],
      ['Sub', [bool(2), bool(2)]],
      ['Min', [f32(2), f32(1), f32(3)]],
      ['Less', [bool(2), bool(2)]],
      ['Equal', [f32(2), i64(2)]],
      ['And', [f32(2), f32(2)]],
      ['Or', [bool(2), bool(3)]],
      ['Where', [f32(2), f32(2), f32(2)]],
      ['Where', [bool(2), f32(2), f64(2)]],
      ['Where', [bool(2), f32(3), f32(3)]],
    ),
  ).toMatchInlineSnapshot(`
    "SHAPE_MISMATCH node: Add of x [B, 3] and x [S, 3]: axis -2 has B and S. Mend the shapes on this line.
    SHAPE_MISMATCH node: Mul of x [B, 3] and x [4]: axis -1 has 3 and 4. Mend the shapes on this line.
    DTYPE_MISMATCH node: Add mixes float32 and float64 (x). Cast one of them.
    DTYPE_MISMATCH node: Sub of x, which is bool. Cast it to a float or an integer.
    SHAPE_MISMATCH node: Min of x [2] and x [1] and x [3]: axis -1 has 2 and 3. Mend the shapes on this line.
    DTYPE_MISMATCH node: Less of x, which is bool. Cast it to a float or an integer.
    DTYPE_MISMATCH node: Equal mixes float32 and int64 (x). Cast one of them.
    DTYPE_MISMATCH node: And of x, which is float32. It takes bool.
    SHAPE_MISMATCH node: Or of x [2] and x [3]: axis -1 has 2 and 3. Mend the shapes on this line.
    DTYPE_MISMATCH node: Where by x, which is float32. Compare first.
    DTYPE_MISMATCH node: Where mixes float32 and float64 (x). Cast one of them.
    SHAPE_MISMATCH node: Where of x [2] and x [3] and x [3]: axis -1 has 2 and 3. Mend the shapes on this line."
  `);
});

test('products', () => {
  expect(
    refusals(
      ['MatMul', [f32('B', 3), f32(4, 5)]],
      ['MatMul', [f32('B', 3), f32(3)]],
      ['MatMul', [f32('B', 2, 3), f32('S', 3, 2)]],
      ['MatMul', [i64(2, 2), i64(2, 2)]],
      ['MatMul', [f32(2, 2), f64(2, 2)]],
      ['FusedMatMul', [f32(2, 3), f32(3, 4)], { transB: 1 }],
      ['FusedMatMul', [f32(2, 2), f32(2, 2)], { transBatchA: 1 }],
      ['Gemm', [f32(1, 2, 3), f32(3, 4)]],
      ['Gemm', [f32(2, 3), f32(3, 4), f32(3)]],
      ['Gemm', [f32(2, 3), f32(3, 4), f32(5, 2, 4)]],
      ['Gemm', [f32(2, 3), f32(3, 4), f64(4)]],
    ),
  ).toMatchInlineSnapshot(`
    "SHAPE_MISMATCH node: MatMul of x [B, 3] and x [4, 5]: inner lengths 3 and 4 differ. Mend the shapes on this line.
    SHAPE_MISMATCH node: MatMul of x [B, 3] and x [3]: both sides need two axes. Mend the shapes on this line.
    SHAPE_MISMATCH node: MatMul of x [B, 2, 3] and x [S, 3, 2]: axis -1 has B and S. Mend the shapes on this line.
    DTYPE_MISMATCH node: MatMul of x, which is int64. It computes with float16, bfloat16, float32 or float64.
    DTYPE_MISMATCH node: MatMul mixes float32 and float64 (x). Cast one of them.
    SHAPE_MISMATCH node: FusedMatMul of x [2, 3] and x [3, 4]: inner lengths 3 and 4 differ. Mend the shapes on this line.
    BAD_ATTRIBUTE node: FusedMatMul has no attribute transBatchA. It has transA, transB, alpha.
    SHAPE_MISMATCH node: Gemm of x [1, 2, 3] and x [3, 4]: Gemm takes matrices. Mend the shapes on this line.
    SHAPE_MISMATCH node: Gemm of x [2, 3] and x [3, 4] and x [3]: axis -1 has 4 and 3. Mend the shapes on this line.
    SHAPE_MISMATCH node: Gemm of x [2, 3] and x [3, 4] and x [5, 2, 4]: x does not broadcast to [2, 4]. Mend the shapes on this line.
    DTYPE_MISMATCH node: Gemm mixes float32 and float64 (x). Cast one of them."
  `);
});

test('convolution and resampling', () => {
  const nearest = { coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' };
  expect(
    refusals(
      ['Conv', [f32(1, 3), f32(4, 3)]],
      ['Conv', [f32(1, 3, 8, 8), f32(4, 3, 3)]],
      ['Conv', [f32(1, 3, 8, 8), f32(4, 2, 3, 3)]],
      ['Conv', [f32(1, 'C', 8, 8), f32(4, 3, 3, 3)]],
      ['Conv', [f32(1, 4, 8, 8), f32(3, 2, 3, 3)], { group: 2 }],
      ['Conv', [f32(1, 3, 8, 8), f32('M', 3, 3, 3)]],
      ['Conv', [f32(1, 3, 8, 8), f32(4, 3, 3, 3), f32(3)]],
      ['Conv', [f32(1, 3, 8, 8), f32(4, 3, 3, 3), f64(4)]],
      ['Conv', [i64(1, 3, 8, 8), i64(4, 3, 3, 3)]],
      ['Conv', [f32(1, 3, 8, 8), f32(4, 3, 3, 3)], { kernel_shape: [3] }],
      ['Conv', [f32(1, 3, 8, 8), f32(4, 3, 3, 3)], { pads: [1, 1] }],
      ['Conv', [f32(1, 3, 8, 8), f32(4, 3, 3, 3)], { pads: [1, 1, -1, 1] }],
      ['Conv', [f32(1, 3, 8, 8), f32(4, 3, 3, 3)], { strides: [2, 0] }],
      ['Conv', [f32(1, 3, 8, 8), f32(4, 3, 3, 3)], { auto_pad: 'SAME_UPPER' }],
      ['Conv', [f32(1, 3, 8, 2), f32(4, 3, 3, 3)]],
      ['Conv', [f32(1, 3, 8, 8), f32(4, 3, 3, 'k')]],
      ['Conv', [f32(1, 3, 'h', 8), f32(4, 3, 3, 3)], { strides: [2, 2] }],
      ['Resize', [f32(1, 3, 8, 8), null, scales(1, 1, 2, 2)]],
      ['Resize', [f32(1, 3, 8, 8), null, scales(1, 1, 2, 2)], { ...nearest, mode: 'linear' }],
      ['Resize', [f32(1, 3, 8, 8), scales(0), scales(1, 1, 2, 2)], nearest],
      ['Resize', [f32(1, 3, 8, 8), null, scales(2, 2)], nearest],
      ['Resize', [f32(1, 3, 8, 8), null, scales(1, 1, 0.5, 2)], nearest],
      ['Resize', [f32(1, 3, 8, 8), null, f32(4)], nearest],
      ['Resize', [f32(1, 3, 8, 8), null, ints(1, 1, 2, 2)], nearest],
      ['Resize', [bool(1, 3, 8, 8), null, scales(1, 1, 2, 2)], nearest],
    ),
  ).toMatchInlineSnapshot(`
    "SHAPE_MISMATCH node: Conv of x [1, 3] and x [4, 3]: it takes [N, C, …] and [M, C, …]. Mend the shapes on this line.
    SHAPE_MISMATCH node: Conv of x [1, 3, 8, 8] and x [4, 3, 3]: it takes [N, C, …] and [M, C, …]. Mend the shapes on this line.
    SHAPE_MISMATCH node: Conv of x [1, 3, 8, 8] and x [4, 2, 3, 3]: 1 groups of 2 channels are not 3. Mend the shapes on this line.
    SHAPE_MISMATCH node: Conv of x [1, C, 8, 8] and x [4, 3, 3, 3]: 1 groups of 3 channels are not C. Mend the shapes on this line.
    SHAPE_MISMATCH node: Conv of x [1, 4, 8, 8] and x [3, 2, 3, 3]: 3 channels do not divide into 2 groups. Mend the shapes on this line.
    SHAPE_MISMATCH node: Conv of x [1, 3, 8, 8] and x [M, 3, 3, 3]: M channels do not divide into 1 groups. Mend the shapes on this line.
    SHAPE_MISMATCH node: Conv of x [1, 3, 8, 8] and x [4, 3, 3, 3] and x [3]: the bias is [4]. Mend the shapes on this line.
    DTYPE_MISMATCH node: Conv mixes float32 and float64 (x). Cast one of them.
    DTYPE_MISMATCH node: Conv of x, which is int64. It computes with float16, bfloat16, float32 or float64.
    BAD_ATTRIBUTE node: Conv with kernel_shape 3. Leave it out.
    BAD_ATTRIBUTE node: Conv with pads 1,1. It has 4 of at least 0.
    BAD_ATTRIBUTE node: Conv with pads 1,1,-1,1. It has 4 of at least 0.
    BAD_ATTRIBUTE node: Conv with strides 2,0. It has 2 of at least 1.
    BAD_ATTRIBUTE node: Conv with auto_pad. Give pads.
    SHAPE_MISMATCH node: Conv of x [1, 3, 8, 2] and x [4, 3, 3, 3]: a kernel of 3 does not fit 2. Mend the shapes on this line.
    SHAPE_MISMATCH node: Conv of x [1, 3, 8, 8] and x [4, 3, 3, k]: the kernel has a symbolic length. Mend the shapes on this line.
    SHAPE_MISMATCH node: Conv of x [1, 3, h, 8] and x [4, 3, 3, 3]: cannot tell the length from (h-3)/2. Mend the shapes on this line.
    BAD_ATTRIBUTE node: Resize with nearest, half_pixel, round_prefer_floor. It is nearest, asymmetric, floor here.
    BAD_ATTRIBUTE node: Resize with linear, asymmetric, floor. It is nearest, asymmetric, floor here.
    BAD_ATTRIBUTE node: Resize with nearest, asymmetric, floor and a region. It is nearest, asymmetric, floor here.
    SHAPE_MISMATCH node: Resize of x [1, 3, 8, 8] and none and const [2]: the scales must be a constant, one whole number an axis. Mend the shapes on this line.
    SHAPE_MISMATCH node: Resize of x [1, 3, 8, 8] and none and const [4]: the scales must be a constant, one whole number an axis. Mend the shapes on this line.
    SHAPE_MISMATCH node: Resize of x [1, 3, 8, 8] and none and x [4]: the scales must be a constant, one whole number an axis. Mend the shapes on this line.
    DTYPE_MISMATCH node: Resize by const, which is int64. Scales are float32.
    DTYPE_MISMATCH node: Resize of x, which is bool. Cast it to a float or an integer."
  `);
});

test('reductions and normalizations', () => {
  expect(
    refusals(
      ['ReduceSum', [f32(2, 3), ints(2)]],
      ['ReduceMean', [f32(2, 3), i64(1)]],
      ['ReduceMax', [bool(2, 3), ints(1)]],
      ['ReduceSum', [f32(2, 3), f32(1)]],
      ['LayerNormalization', [f32('B', 6), f32(5)]],
      ['LayerNormalization', [f32('B', 6), f32(6)], { axis: 2 }],
      ['LayerNormalization', [f32('B', 6), f32(6), f64(6)]],
      ['LayerNormalization', [i64('B', 6), i64(6)]],
      ['SimplifiedLayerNormalization', [f32('B', 6), f32('B')]],
      ['SimplifiedLayerNormalization', [f32('B', 6), f32(6), f32(6)]],
    ),
  ).toMatchInlineSnapshot(`
    "SHAPE_MISMATCH node: ReduceSum of x [2, 3] and const [1]: there is no axis 2. Mend the shapes on this line.
    SHAPE_MISMATCH node: ReduceMean of x [2, 3] and x [1]: the axes must be a constant. Mend the shapes on this line.
    DTYPE_MISMATCH node: ReduceMax of x, which is bool. Cast it to a float or an integer.
    DTYPE_MISMATCH node: ReduceSum by x, which is float32. Axes, lengths and bounds are int64.
    SHAPE_MISMATCH node: LayerNormalization of x [B, 6] and x [5]: x does not fit axis 1. Mend the shapes on this line.
    SHAPE_MISMATCH node: LayerNormalization of x [B, 6] and x [6]: there is no axis 2. Mend the shapes on this line.
    DTYPE_MISMATCH node: LayerNormalization mixes float32 and float64 (x). Cast one of them.
    DTYPE_MISMATCH node: LayerNormalization of x, which is int64. It computes with float16, bfloat16, float32 or float64.
    SHAPE_MISMATCH node: SimplifiedLayerNormalization of x [B, 6] and x [B]: x does not fit axis 1. Mend the shapes on this line.
    UNKNOWN_VALUE node: SimplifiedLayerNormalization takes 2 inputs, not 3. Mend the call."
  `);
});

test('reshaping', () => {
  expect(
    refusals(
      ['Reshape', [f32(2, 3), ints(4, 2)]],
      ['Reshape', [f32('B', 3), ints(-1, 2)]],
      ['Reshape', [f32('B', 3), ints(-1, -1)]],
      ['Reshape', [f32(2, 3), ints(2, 3, 0)]],
      ['Reshape', [f32(2, 3), i64(2)]],
      ['Reshape', [f32(2, 3), f32(2)]],
      ['Reshape', [f32('B', 6), ints(0, 2, 3)], {}, ['B', 3, 2]],
      ['Reshape', [f32('B', 6), i64(2)], {}, ['B', 7]],
      ['Reshape', [f32(2, 3), ints(-2, -3)]],
      ['Unsqueeze', [f32(2, 3), ints(4)]],
      ['Unsqueeze', [f32(2, 3), ints(0, 0)]],
      ['Unsqueeze', [f32(2, 3), i64(1)]],
      ['Squeeze', [f32('B', 3), ints(0)]],
      ['Squeeze', [f32(1, 3), ints(0, -2)]],
      ['Expand', [f32(2, 3), ints(4, 3)]],
      ['Expand', [f32(2, 3), i64(2)]],
      ['Expand', [f32(2, 3), i64(2)], {}, [1, 3]],
      ['Expand', [f32(1, 3), ints(2, 3)], {}, [4, 3]],
    ),
  ).toMatchInlineSnapshot(`
    "SHAPE_MISMATCH node: Reshape of x [2, 3] and const [2]: [4, 2] has another size. Mend the shapes on this line.
    SHAPE_MISMATCH node: Reshape of x [B, 3] and const [2]: cannot divide by the other lengths. Mend the shapes on this line.
    SHAPE_MISMATCH node: Reshape of x [B, 3] and const [2]: [-1, -1] leaves two lengths open. Mend the shapes on this line.
    SHAPE_MISMATCH node: Reshape of x [2, 3] and const [3]: no axis 2 to copy. Mend the shapes on this line.
    SHAPE_MISMATCH node: Reshape of x [2, 3] and x [2]: the target is computed: give the type. Mend the shapes on this line.
    DTYPE_MISMATCH node: Reshape by x, which is float32. Axes, lengths and bounds are int64.
    SHAPE_MISMATCH node: Reshape of x [B, 6] and const [3]: the target says [B, 2, 3], the given type [B, 3, 2]. Mend the shapes on this line.
    SHAPE_MISMATCH node: Reshape of x [B, 6] and x [2]: [B, 7] has another size. Mend the shapes on this line.
    BAD_DIMENSION node: -2 is not a length. Lengths are integers of at least 0.
    SHAPE_MISMATCH node: Unsqueeze of x [2, 3] and const [1]: there is no axis 4. Mend the shapes on this line.
    SHAPE_MISMATCH node: Unsqueeze of x [2, 3] and const [2]: axes [0, 0] name one twice. Mend the shapes on this line.
    SHAPE_MISMATCH node: Unsqueeze of x [2, 3] and x [1]: the axes must be a constant. Mend the shapes on this line.
    SHAPE_MISMATCH node: Squeeze of x [B, 3] and const [1]: axis 0 is B, not 1. Mend the shapes on this line.
    SHAPE_MISMATCH node: Squeeze of x [1, 3] and const [2]: axes [0, -2] name one twice. Mend the shapes on this line.
    SHAPE_MISMATCH node: Expand of x [2, 3] and const [2]: axis -2 has 2 and 4. Mend the shapes on this line.
    SHAPE_MISMATCH node: Expand of x [2, 3] and x [2]: the target is computed: give the type. Mend the shapes on this line.
    SHAPE_MISMATCH node: Expand of x [2, 3] and x [2]: it does not broadcast to [1, 3]. Mend the shapes on this line.
    SHAPE_MISMATCH node: Expand of x [1, 3] and const [2]: the target says [2, 3], the given type [4, 3]. Mend the shapes on this line."
  `);
});

test('moving elements', () => {
  expect(
    refusals(
      ['Transpose', [f32(2, 3)], { perm: [0] }],
      ['Transpose', [f32(2, 3)], { perm: [1, 1] }],
      ['Transpose', [f32(2, 3)], { perm: [-1, 0] }],
      ['Concat', [f32('B', 3), f32('B', 4)], { axis: 0 }],
      ['Concat', [f32('B', 3), f32(3)], { axis: 0 }],
      ['Concat', [f32('B', 3), f64('B', 3)], { axis: 0 }],
      ['Concat', [f32(), f32()], { axis: 0 }],
      ['Split', [f32('B', 7)], { axis: 1, num_outputs: 2 }],
      ['Split', [f32('B', 6)], { axis: 0, num_outputs: 2 }],
      ['Split', [f32(6)], { axis: 0, num_outputs: 0 }],
      ['Split', [f32(6), ints(2, 3)], { axis: 0 }],
      ['Split', [f32(6), ints(7, -1)], { axis: 0 }],
      ['Split', [f32(6), i64(2)], { axis: 0 }],
      ['Slice', [f32(6), ints(0), ints(3), ints(1)]],
      ['Slice', [f32('S'), ints(-2), ints(3), ints(0)]],
      ['Slice', [f32('S'), ints(0), ints(2 ** 40), ints(0), ints(2)]],
      ['Slice', [f32(6), ints(0), ints(3), ints(0), ints(0)]],
      ['Slice', [f32(6), ints(0, 1), ints(3), ints(0)]],
      ['Slice', [f32(6), i64(1), i64(1), ints(0)]],
      ['Gather', [f32(5, 2), f32(2)]],
      ['Gather', [f32(5, 2), i64(2)], { axis: 2 }],
      ['ConstantOfShape', [i64(2)]],
      ['ConstantOfShape', [ints(-1)]],
    ),
  ).toMatchInlineSnapshot(`
    "SHAPE_MISMATCH node: Transpose of x [2, 3]: perm [0] is not a permutation of its axes. Mend the shapes on this line.
    SHAPE_MISMATCH node: Transpose of x [2, 3]: perm [1, 1] is not a permutation of its axes. Mend the shapes on this line.
    SHAPE_MISMATCH node: Transpose of x [2, 3]: perm [-1, 0] is not a permutation of its axes. Mend the shapes on this line.
    SHAPE_MISMATCH node: Concat of x [B, 3] and x [B, 4]: they differ on another axis than 0. Mend the shapes on this line.
    SHAPE_MISMATCH node: Concat of x [B, 3] and x [3]: they differ on another axis than 0. Mend the shapes on this line.
    DTYPE_MISMATCH node: Concat mixes float32 and float64 (x). Cast one of them.
    SHAPE_MISMATCH node: Concat of x [] and x []: there is no axis 0. Mend the shapes on this line.
    SHAPE_MISMATCH node: Split of x [B, 7]: axis 1 of length 7 does not divide into 2. Mend the shapes on this line.
    SHAPE_MISMATCH node: Split of x [B, 6]: axis 0 of length B does not divide into 2. Mend the shapes on this line.
    SHAPE_MISMATCH node: Split of x [6]: axis 0 of length 6 does not divide into 0. Mend the shapes on this line.
    SHAPE_MISMATCH node: Split of x [6] and const [2]: sizes 2+3 on axis 0 of length 6. Mend the shapes on this line.
    SHAPE_MISMATCH node: Split of x [6] and const [2]: sizes 7+-1 on axis 0 of length 6. Mend the shapes on this line.
    SHAPE_MISMATCH node: Split of x [6] and x [2]: the sizes must be a constant. Mend the shapes on this line.
    SHAPE_MISMATCH node: Slice of x [6] and const [1] and const [1] and const [1]: there is no axis 1. Mend the shapes on this line.
    SHAPE_MISMATCH node: Slice of x [S] and const [1] and const [1] and const [1]: cannot tell the length of -2:3:1 on an axis of length S. Mend the shapes on this line.
    SHAPE_MISMATCH node: Slice of x [S] and const [1] and const [1] and const [1] and const [1]: cannot tell the length of 0:1099511627776:2 on an axis of length S. Mend the shapes on this line.
    SHAPE_MISMATCH node: Slice of x [6] and const [1] and const [1] and const [1] and const [1]: a step of 0 never ends. Mend the shapes on this line.
    SHAPE_MISMATCH node: Slice of x [6] and const [2] and const [1] and const [1]: starts, ends, axes and steps differ in length. Mend the shapes on this line.
    SHAPE_MISMATCH node: Slice of x [6] and x [1] and x [1] and const [1]: bounds must be constants. Mend the shapes on this line.
    DTYPE_MISMATCH node: Gather of x, which is float32. It takes int32, int64.
    SHAPE_MISMATCH node: Gather of x [5, 2] and x [2]: there is no axis 2. Mend the shapes on this line.
    SHAPE_MISMATCH node: ConstantOfShape of x [2]: the shape is computed: give the type. Mend the shapes on this line.
    BAD_DIMENSION node: -1 is not a length. Lengths are integers of at least 0."
  `);
});

test('rotation, casts and quantized weights', () => {
  expect(
    refusals(
      ['RotaryEmbedding', [f32(2, 4, 6), ints(0), f32(4, 3), f32(4, 3)]],
      ['RotaryEmbedding', [f32('B', 2, 'T', 6), ints(0), f32('T', 6), f32('T', 6)]],
      ['RotaryEmbedding', [f32('B', 2, 'T', 6), ints(0), f32('T', 3), f32('S', 3)]],
      ['RotaryEmbedding', [f32('B', 2, 5, 6), ints(0), f32(4, 3), f32(4, 3)]],
      ['RotaryEmbedding', [f32('B', 2, 'T', 6), i64('T'), f32('T', 3), f32('T', 3)]],
      ['RotaryEmbedding', [f32('B', 2, 'T', 6), f32(1), f32('T', 3), f32('T', 3)]],
      ['RotaryEmbedding', [f64('B', 2, 'T', 6), ints(0), f32('T', 3), f32('T', 3)]],
      ['MultiHeadAttention', [f32(2, 3, 8), f32(2, 5, 8), f32(2, 5, 9)], { num_heads: 2 }],
      ['MultiHeadAttention', [f32(2, 3, 8), f32(2, 5, 4), f32(2, 5, 8)], { num_heads: 2 }],
      ['MultiHeadAttention', [f32(2, 2, 3, 4), f32(2, 2, 5, 4), f32(2, 2, 5, 4)], { num_heads: 2 }],
      ['Cast', [f32(2)]],
      ['Cast', [f32(2)], { to: 8 }],
      ['BitCast', [f32(2)], { to: 10 }],
      ['BitCast', [f32(2)]],
      ['BitwiseAnd', [f32(2), f32(2)]],
      ['BitwiseAnd', [i64(2), bytes(2)]],
      ['DequantizeLinear', [f32(2, 3), f32()]],
      ['DequantizeLinear', [bytes(2, 3), f64()]],
      ['DequantizeLinear', [bytes(2, 3), f32(2)]],
      ['DequantizeLinear', [bytes(2, 3), f32(3), i64(3)]],
      ['DequantizeLinear', [bytes(2, 3), f32(3), bytes()]],
      ['DequantizeLinear', [bytes('B', 6), f32('B', 2)], { axis: 1, block_size: 2 }],
    ),
  ).toMatchInlineSnapshot(`
    "SHAPE_MISMATCH node: RotaryEmbedding of x [2, 4, 6] and const [1] and x [4, 3] and x [4, 3]: it takes [B, H, T, D]. Mend the shapes on this line.
    SHAPE_MISMATCH node: RotaryEmbedding of x [B, 2, T, 6] and const [1] and x [T, 6] and x [T, 6]: the tables are [T, D/2]. Mend the shapes on this line.
    SHAPE_MISMATCH node: RotaryEmbedding of x [B, 2, T, 6] and const [1] and x [T, 3] and x [S, 3]: the tables are [T, D/2]. Mend the shapes on this line.
    SHAPE_MISMATCH node: RotaryEmbedding of x [B, 2, 5, 6] and const [1] and x [4, 3] and x [4, 3]: the tables hold 4 positions. Mend the shapes on this line.
    SHAPE_MISMATCH node: RotaryEmbedding of x [B, 2, T, 6] and x [T] and x [T, 3] and x [T, 3]: positions are [1] or [B, T]. Mend the shapes on this line.
    DTYPE_MISMATCH node: RotaryEmbedding of x, which is float32. It takes int64.
    DTYPE_MISMATCH node: RotaryEmbedding mixes float64 and float32 (x). Cast one of them.
    SHAPE_MISMATCH node: MultiHeadAttention of x [2, 3, 8] and x [2, 5, 8] and x [2, 5, 9]: queries, keys, values and 2 heads do not fit. Mend the shapes on this line.
    SHAPE_MISMATCH node: MultiHeadAttention of x [2, 3, 8] and x [2, 5, 4] and x [2, 5, 8]: queries, keys, values and 2 heads do not fit. Mend the shapes on this line.
    SHAPE_MISMATCH node: MultiHeadAttention of x [2, 2, 3, 4] and x [2, 2, 5, 4] and x [2, 2, 5, 4]: it takes [B, S, H·d]. Mend the shapes on this line.
    DTYPE_MISMATCH node: Cast to type 0. Use a type of dtype.ts.
    DTYPE_MISMATCH node: Cast to type 8. Use a type of dtype.ts.
    DTYPE_MISMATCH node: BitCast of x, which is float32, to type 10. Use a type of the same width.
    DTYPE_MISMATCH node: BitCast to type 0. Use a type of dtype.ts.
    DTYPE_MISMATCH node: BitwiseAnd of x, which is float32. It computes with integers.
    DTYPE_MISMATCH node: BitwiseAnd mixes int64 and uint8 (x). Cast one of them.
    DTYPE_MISMATCH node: DequantizeLinear of x, which is float32. It takes int8, uint8, int16, uint16, int32, float8e4m3fn, float8e5m2.
    DTYPE_MISMATCH node: DequantizeLinear of x, which is float64. It takes float32, float16, bfloat16.
    SHAPE_MISMATCH node: DequantizeLinear of x [2, 3] and x [2]: the scale is [] or [3]. Mend the shapes on this line.
    DTYPE_MISMATCH node: DequantizeLinear mixes uint8 and int64 (x). Cast one of them.
    SHAPE_MISMATCH node: DequantizeLinear of x [2, 3] and x [3] and x []: scale and zero point differ. Mend the shapes on this line.
    SHAPE_MISMATCH node: DequantizeLinear of x [B, 6] and x [B, 2]: the scale is [B, 3]. Mend the shapes on this line."
  `);
});
