import type { Graph, Node } from '@musubi/onnx-graph';

const wide = ['float32', 'float16', 'bfloat16', 'float64'];
const integers = ['int8', 'int16', 'int32', 'int64', 'uint8', 'uint16', 'uint32', 'uint64'];
const movable = [...wide, ...integers, 'bool'];
const numbers = [...wide, ...integers];
const float8 = ['float8e4m3fn', 'float8e5m2'];

/**
 * Number types that the CUDA provider of ONNX Runtime has kernels for, by operator, in opset 21 and in com.microsoft: for
 * each input in turn, the last for all that follow. From docs/OperatorKernels.md of
 * ONNX Runtime (commit 001d12d), where the rows of opset 21
 * are taken; `any` stands for an input that is read on the host.
 */
export const cudaKernels: Readonly<Record<string, readonly (readonly string[] | 'any')[]>> = {
  Add: [numbers],
  Cast: [[...movable, ...float8]],
  Concat: [movable],
  ConstantOfShape: ['any'],
  Conv: [['float32', 'float16', 'float64']],
  DequantizeLinear: [
    [...float8, 'int8', 'uint8'],
    ['float32', 'float16'],
    [...float8, 'int8', 'uint8'],
  ],
  Div: [numbers],
  Equal: [['bool', 'float64', 'float32', 'float16', 'int32', 'int64', 'uint32', 'uint64']],
  Erf: [wide],
  Exp: [wide],
  Expand: [movable, 'any'],
  Gather: [movable, ['int32', 'int64']],
  Gelu: [wide],
  Gemm: [wide],
  Greater: [['float64', 'float32', 'float16', 'int32', 'int64', 'uint32', 'uint64']],
  LayerNormalization: [wide],
  Less: [['float64', 'float32', 'float16', 'int32', 'int64', 'uint32', 'uint64']],
  MatMul: [wide],
  Mul: [numbers],
  Neg: [[...wide, 'int8', 'int16', 'int32', 'int64']],
  Pow: [[...wide, 'int32', 'int64']],
  ReduceMean: [['float32', 'float16', 'float64', 'int32'], 'any'],
  ReduceSum: [[...wide, 'int32', 'int64'], 'any'],
  Reshape: [[...movable, ...float8], 'any'],
  Shape: ['any'],
  Sigmoid: [wide],
  Sign: [numbers],
  SimplifiedLayerNormalization: [wide],
  Slice: [movable, 'any'],
  Softmax: [wide],
  Split: [movable, 'any'],
  Sqrt: [wide],
  Squeeze: [movable, 'any'],
  Sub: [numbers],
  Tanh: [wide],
  Transpose: [movable],
  Unsqueeze: [movable, 'any'],
  Where: [['bool'], [...wide, 'int32', 'int64', 'uint8']],
  'com.microsoft:FusedMatMul': [wide],
  'com.microsoft:Gelu': [wide],
  'com.microsoft:MatMulNBits': [
    ['float32', 'float16', 'bfloat16'],
    ['uint8'],
    ['float32', 'float16', 'bfloat16'],
    ['uint8'],
  ],
  'com.microsoft:MultiHeadAttention': [['float32', 'float16', 'bfloat16']],
  'com.microsoft:QuickGelu': [wide],
  'com.microsoft:RotaryEmbedding': [['float32', 'float16', 'bfloat16'], ['int64'], ['float32', 'float16', 'bfloat16']],
};

/** A node that CUDA would leave to the CPU. */
export interface MissingKernel {
  readonly node: string;
  readonly operator: string;
  /** Number types of its inputs. */
  readonly dtypes: readonly string[];
}

/** Nodes of a graph for which {@link cudaKernels} has no kernel. */
export function missingCudaKernels({ nodes }: Pick<Graph, 'nodes'>): readonly MissingKernel[] {
  return nodes
    .filter((node) => !hasKernel(node))
    .map((node) => ({
      node: node.name,
      operator: operatorOf(node),
      dtypes: node.inputs.map((value) => value?.dtype ?? 'none'),
    }));
}

const operatorOf = ({ domain, op }: Node): string => (domain === '' ? op : `${domain}:${op}`);

function hasKernel(node: Node): boolean {
  const types = cudaKernels[operatorOf(node)];
  if (!types) return false;
  return node.inputs.every((value, i) => {
    const allowed = types[Math.min(i, types.length - 1)];
    return value === null || allowed === 'any' || allowed?.includes(value.dtype);
  });
}
