import type { EightBitBase } from '@musubi/config';
import type { ParameterSource } from '@musubi/onnx-graph';
import type { TensorInfo } from '@musubi/safetensors';

import { createLora, selectTargets } from '@musubi/lora';
import { type WanConfig, wan } from '@musubi/models';
import { fromSafetensors } from '@musubi/onnx-graph';
import { TorchGenerator } from '@musubi/random';

import { type TrainingModelOptions, createTrainingModel, lowerEightBit } from '../src/index.ts';
import type { LowerEightBitOptions } from '../src/lower-eight-bit.ts';
import { planEightBitBase } from '../src/plan-eight-bit-base.ts';
import { float16Weights } from '../src/web/product-weights.ts';

/** Where a model's weights lie, as the header of a checkpoint says; nothing of it is read to build a graph. */
export interface ModelHeader {
  readonly config: WanConfig;
  readonly weights: ReadonlyMap<string, TensorInfo>;
}

/** Of all base weights, or on WebGPU with products in float16: those of the products in F16, all else in F32. */
type StoredDtype = 'F32' | 'BF16' | 'F16 of products';

export interface GraphForm extends Pick<
  TrainingModelOptions<WanConfig>,
  | 'gradientCheckpointing'
  | 'gradientCheckpointingEvery'
  | 'attention'
  | 'fusedEvaluation'
  | 'forWebGpu'
  | 'gatesOnDevice'
  | 'products'
  | 'widenAtLoad'
> {
  readonly dtype: StoredDtype;
  readonly base?: EightBitBase['method'];
}

const pieces = { attention: { chunks: 4, rows: 512 } } as const;

/** The forms in which the trainer builds its graphs. */
export const graphForms: Readonly<Record<string, GraphForm>> = {
  plain: { dtype: 'F32', fusedEvaluation: true },
  checkpointed: { dtype: 'F32', gradientCheckpointing: true },
  'every second block checkpointed': { dtype: 'F32', gradientCheckpointing: true, gradientCheckpointingEvery: 2 },
  'attention in pieces': { dtype: 'F32', ...pieces },
  'attention in pieces, checkpointed': { dtype: 'F32', ...pieces, gradientCheckpointing: true },
  'bfloat16, checkpointed': { dtype: 'BF16', gradientCheckpointing: true },
  'for CUDA, bfloat16, checkpointed': { dtype: 'BF16', gradientCheckpointing: true, gatesOnDevice: true },
  fp8: { dtype: 'BF16', base: 'scaled' },
  'fp8, checkpointed': { dtype: 'BF16', base: 'scaled', gradientCheckpointing: true },
  'int8, checkpointed': { dtype: 'BF16', base: 'int8', gradientCheckpointing: true },
  'for WebGPU': { dtype: 'F32', forWebGpu: true },
  'for WebGPU, checkpointed': { dtype: 'F32', forWebGpu: true, gradientCheckpointing: true },
  'products in float16': { dtype: 'F32', products: 'float16' },
  'for CUDA, products in bfloat16, in pieces, checkpointed': {
    dtype: 'BF16',
    products: 'bfloat16',
    ...pieces,
    gatesOnDevice: true,
    gradientCheckpointing: true,
  },
  'for CUDA, fp8, products in float16': { dtype: 'BF16', base: 'scaled', products: 'float16', gatesOnDevice: true },
  'for WebGPU, products in float16, checkpointed': {
    dtype: 'F16 of products',
    products: 'float16',
    forWebGpu: true,
    widenAtLoad: true,
    gradientCheckpointing: true,
  },
  // which knows no bfloat16, so that what has no 8 bits is float32
  'for WebGPU, fp8': { dtype: 'F32', base: 'scaled', forWebGpu: true },
  'for WebGPU, fp8 without scales, checkpointed': {
    dtype: 'F32',
    base: 'cast',
    forWebGpu: true,
    gradientCheckpointing: true,
  },
  'for WebGPU, fp8, products in float16, in pieces, checkpointed': {
    dtype: 'F32',
    base: 'scaled',
    products: 'float16',
    ...pieces,
    forWebGpu: true,
    gradientCheckpointing: true,
  },
  'for WebGPU, int8, products in float16': { dtype: 'F32', base: 'int8', products: 'float16', forWebGpu: true },
  'for WebGPU, int8, checkpointed': { dtype: 'F32', base: 'int8', forWebGpu: true, gradientCheckpointing: true },
};

/** The graphs of a run with an adapter of rank 4 on all layers that adapters are for by default. */
export function graphsOf(
  { config, weights }: ModelHeader,
  { dtype, base, ...options }: GraphForm,
): ReturnType<typeof createTrainingModel> {
  const isFloat16 = float16Weights('float16', wan, { weights });
  const typeOf = (info: TensorInfo) => (dtype === 'F16 of products' ? (isFloat16(info.name) ? 'F16' : 'F32') : dtype);
  const stored = new Map([...weights].map(([name, info]) => [name, inType(info, typeOf(info))]));
  const { lora } = wan;
  const rules = { blockClasses: [lora.targetClass], exclude: lora.defaultExcludePatterns };
  const modules = selectTargets(lora.modules(config), rules);
  return createTrainingModel({
    architecture: wan,
    config,
    weights: base ? eightBits(base, stored) : sourceOf(stored),
    adapter: createLora({ modules, rank: 4, alpha: 4, generator: new TorchGenerator(1) }),
    ...options,
    ...(base ? { lower: lowerEightBit(base, loweringOf(options)) } : {}),
  });
}

/** Cards compute with 8 bits in other forms than a CPU. */
function loweringOf({
  gatesOnDevice,
  forWebGpu,
}: Pick<GraphForm, 'gatesOnDevice' | 'forWebGpu'>): LowerEightBitOptions {
  if (!gatesOnDevice && !forWebGpu) return {};
  return { provider: gatesOnDevice ? 'cuda' : 'webgpu', forward: 'dequantize' };
}

const inType = (info: TensorInfo, dtype: 'F32' | 'BF16' | 'F16'): TensorInfo => ({
  ...info,
  dtype,
  byteLength: info.shape.reduce((a, b) => a * b, dtype === 'F32' ? 4 : 2),
});

const sourceOf =
  (weights: ReadonlyMap<string, TensorInfo>): ParameterSource =>
  (name) => {
    const info = weights.get(name);
    const dtype = info && fromSafetensors(info.dtype);
    if (!info || !dtype) return undefined;
    const { shape, offset, byteLength: length } = info;
    return { dtype, shape, external: { location: 'dit.safetensors', offset, length } };
  };

function eightBits(method: EightBitBase['method'], weights: ReadonlyMap<string, TensorInfo>): ParameterSource {
  const setting = { method, format: 'e4m3', mode: 'block', blockSize: 64, cacheDir: null } as const;
  const request = { path: 'dit.safetensors', weights, architecture: wan };
  return planEightBitBase(setting, request).source(() => 'dit.safetensors');
}

/** As wide as the model that `pnpm bench step` measures, half as wide as Wan 2.1 1.3B; of a first, an inner and a last block. */
export function benchModel(): ModelHeader {
  const [dim, ffn, layers] = [768, 3072, 3];
  const shapes = new Map([
    ['patch_embedding.weight', { shape: [dim, 16, 1, 2, 2] }],
    ['text_embedding.0.weight', { shape: [dim, 256] }],
    ['time_embedding.0.weight', { shape: [dim, 256] }],
    ['head.head.weight', { shape: [64, dim] }],
    ...Array.from({ length: layers }, (_, i): [string, { shape: number[] }] => [
      `blocks.${i}.ffn.0.weight`,
      { shape: [ffn, dim] },
    ]),
  ]);
  const modelConfig = { num_heads: 12, text_len: 64, eps: 1e-6 };
  const config = wan.inferConfig(shapes, { task: 't2v-1.3B', modelConfig });
  let offset = 0;
  const weights = wan.parameters(config).map(({ name, shape }): [string, TensorInfo] => {
    const byteLength = shape.reduce((a, b) => a * b, 4);
    offset += byteLength;
    return [name, { name, dtype: 'F32', shape, offset: offset - byteLength, byteLength, source: 'dit.safetensors' }];
  });
  return { config, weights: new Map(weights) };
}
