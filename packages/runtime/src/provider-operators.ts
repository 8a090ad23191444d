import type { Provider } from './types.ts';

/**
 * Operators that a provider of ONNX Runtime 1.30 computes on its device in float32, of those that our graphs consist of. A
 * node with another one would run on the CPU, with copies of its tensors there and back. Providers that are not listed
 * compute all of them.
 *
 * Of SimplifiedLayerNormalization WebGPU gives the first output only; its second one is wrong. WebGPU has no kernel for FusedMatMul, Attention, Sign and Round, nor any for float8, bfloat16 and int64: of shape
 * arithmetic, which is int64, parts stay on the CPU.
 */
export const providerOperators: Readonly<Partial<Record<Provider, ReadonlySet<string>>>> = {
  webgpu: new Set([
    'Add',
    'Cast',
    'Concat',
    'ConstantOfShape',
    'DequantizeLinear',
    'Div',
    'Expand',
    'Gather',
    'Gelu',
    'Gemm',
    'LayerNormalization',
    'MatMul',
    'Mul',
    'Neg',
    'Reciprocal',
    'ReduceMean',
    'ReduceSum',
    'Reshape',
    'RotaryEmbedding',
    'Shape',
    'Sigmoid',
    'SimplifiedLayerNormalization',
    'Slice',
    'Softmax',
    'Split',
    'Sqrt',
    'Squeeze',
    'Sub',
    'Transpose',
    'Unsqueeze',
  ]),
};

/** Whether a provider computes an operator on its device, see {@link providerOperators}. */
export const runsOn = (provider: Provider, operator: string): boolean =>
  providerOperators[provider]?.has(operator) ?? true;

const products16: Readonly<Partial<Record<Provider, ReadonlySet<string>>>> = {
  cuda: new Set(['float16', 'bfloat16']),
  webgpu: new Set(['float16']),
  dml: new Set(['float16']),
};

/**
 * Whether a provider may multiply matrices in this number type: cards and browsers differ, so it is worth a try with
 * `probeProvider`. The CPU takes float16 too, but computes it in float32 between casts.
 */
export const multipliesIn = (provider: Provider, dtype: 'float32' | 'float16' | 'bfloat16'): boolean =>
  dtype === 'float32' || (products16[provider]?.has(dtype) ?? false);

const float8Providers: ReadonlySet<Provider> = new Set(['cpu', 'cuda']);

/** Whether a provider has kernels for 8-bit floats; others take such numbers as bytes and look them up in a table. */
export const hasFloat8 = (provider: Provider): boolean => float8Providers.has(provider);
