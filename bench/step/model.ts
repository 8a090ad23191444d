import type { AttentionPlan } from '../../packages/onnx-graph/src/index.ts';
import type { Provider } from '../../packages/runtime/src/index.ts';
import type { SafetensorsDtype, TensorToWrite } from '../../packages/safetensors/src/index.ts';
import type { StoredBase } from '../../packages/trainer/src/eight-bit-weights.ts';

import { basename } from 'node:path';

import { createLora, selectTargets } from '../../packages/lora/src/index.ts';
import { type WanConfig, resolveWeights, wan } from '../../packages/models/src/index.ts';
import { TorchGenerator } from '../../packages/random/src/index.ts';
import { fromFloat32 } from '../../packages/safetensors/src/index.ts';
import { openSafetensorsFile, writeSafetensorsFile } from '../../packages/safetensors/src/node.ts';
import { createTrainingModel, lowerEightBit } from '../../packages/trainer/src/index.ts';
import { graphFor } from '../../packages/trainer/src/node/choose-device.ts';
import { openEightBitBase } from '../../packages/trainer/src/node/eight-bit-base.ts';
import { planEightBitBase } from '../../packages/trainer/src/plan-eight-bit-base.ts';

/** A Wan-class model: as wide as half of Wan 2.1 1.3B, with a fifth of its blocks. */
export const modelConfig = {
  dim: 768,
  ffn_dim: 3072,
  num_heads: 12,
  num_layers: 6,
  freq_dim: 256,
  text_dim: 256,
  text_len: 64,
  in_dim: 16,
  out_dim: 16,
  eps: 1e-6,
};
/** Sizes of a Wan model, as `--model_config` has them. */
export type Sizes = typeof modelConfig;
export const rank = 16;

/** Writes a checkpoint of that model, or of one with fewer blocks, with seeded random weights. */
export async function writeCheckpoint(
  path: string,
  sizes = modelConfig,
  dtype: SafetensorsDtype = 'F32',
): Promise<void> {
  const config = wanConfig(sizes);
  const generator = new TorchGenerator(1);
  const tensors = wan.parameters(config).map(({ name, shape }): TensorToWrite => {
    const count = shape.reduce((a, b) => a * b, 1);
    const fanIn = shape.slice(1).reduce((a, b) => a * b, 1);
    const scale = shape.length > 1 ? 1 / Math.sqrt(fanIn) : 0.02;
    const offset = /norm\d?(_[qk])?\.weight$/.test(name) ? 1 : 0;
    const data = async () =>
      fromFloat32(
        generator.randn(count).map((x) => offset + scale * x),
        dtype,
      );
    return { name, dtype, shape, data };
  });
  await writeSafetensorsFile(path, tensors);
}

/** How base weights are stored. */
export type Base = 'checkpoint' | 'scaled' | 'int8';

/**
 * Graphs and adapter of a training run on that checkpoint, and what its memory is planned by.
 *
 * @param eightBits whether weights in 8 bits are in their file, which is made where it is not there, or only planned
 */
export async function openTrainingModel(
  checkpoint: string,
  gradientCheckpointing: boolean,
  attention: AttentionPlan,
  base: Base = 'checkpoint',
  eightBits: 'made' | 'planned' = 'made',
  { provider = 'cpu', sizes = modelConfig }: { readonly provider?: Provider; readonly sizes?: Sizes } = {},
) {
  const store = await openSafetensorsFile(checkpoint);
  const model = resolveWeights(store, wan, { task: 't2v-1.3B', modelConfig: sizes });
  const modules = selectTargets(wan.lora.modules(model.config), {
    blockClasses: [wan.lora.targetClass],
    exclude: wan.lora.defaultExcludePatterns,
  });
  const adapter = createLora({ modules, rank, alpha: rank, generator: new TorchGenerator(2) });
  const closing = [() => store.close()];
  const stored = await openBase();
  const graphs = createTrainingModel({
    architecture: wan,
    config: model.config,
    weights: stored.source(basename),
    adapter,
    gradientCheckpointing,
    attention,
    ...graphFor({ provider, deviceId: 0 }),
    ...(base === 'checkpoint' ? {} : { lower: lowerEightBit(base, { provider }) }),
  });
  for (const close of closing) await close();
  const weights = [...stored.weights.values()];
  const bytesOf = (infos: typeof weights) => infos.reduce((sum, w) => sum + w.byteLength, 0);
  const memoryFacts = {
    weightBytes: bytesOf(weights),
    narrowWeights: weights.some(({ dtype, shape }) => dtype !== 'F32' && shape.length > 1),
    integerBytes: bytesOf(weights.filter(({ dtype }) => dtype === 'U8')),
  };
  const externalFiles = Object.fromEntries(weights.map(({ source }) => [basename(source), source]));
  return { adapter, graphs, memoryFacts, externalFiles };

  async function openBase(): Promise<StoredBase> {
    if (base === 'checkpoint') return model;
    const setting = { method: base, format: 'e4m3', mode: 'block', blockSize: 64, cacheDir: null } as const;
    const request = { path: checkpoint, checkpoint: store, weights: model.weights, architecture: wan, merged: [] };
    return eightBits === 'planned'
      ? planEightBitBase(setting, request)
      : openEightBitBase(setting, request, { closing, logger: () => {}, signal: undefined });
  }
}

function wanConfig(sizes: Sizes): WanConfig {
  const shapes = new Map([
    ['patch_embedding.weight', { shape: [sizes.dim, sizes.in_dim, 1, 2, 2] }],
    ['text_embedding.0.weight', { shape: [sizes.dim, sizes.text_dim] }],
    ['time_embedding.0.weight', { shape: [sizes.dim, sizes.freq_dim] }],
    ['head.head.weight', { shape: [4 * sizes.out_dim, sizes.dim] }],
    ...Array.from({ length: sizes.num_layers }, (_, i): [string, { shape: number[] }] => [
      `blocks.${i}.ffn.0.weight`,
      { shape: [sizes.ffn_dim, sizes.dim] },
    ]),
  ]);
  return wan.inferConfig(shapes, { task: 't2v-1.3B', modelConfig: sizes });
}
