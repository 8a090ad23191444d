import type { AttentionPlan } from '../../packages/onnx-graph/src/index.ts';
import type { TensorToWrite } from '../../packages/safetensors/src/index.ts';

import { createLora, selectTargets } from '../../packages/lora/src/index.ts';
import { type WanConfig, resolveWeights, wan } from '../../packages/models/src/index.ts';
import { TorchGenerator } from '../../packages/random/src/index.ts';
import { fromFloat32 } from '../../packages/safetensors/src/index.ts';
import { openSafetensorsFile, writeSafetensorsFile } from '../../packages/safetensors/src/node.ts';
import { createTrainingModel } from '../../packages/trainer/src/index.ts';

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
export const rank = 16;

/** Writes a checkpoint of that model, or of one with fewer blocks, with seeded random float32 weights. */
export async function writeCheckpoint(path: string, sizes = modelConfig): Promise<void> {
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
        'F32',
      );
    return { name, dtype: 'F32', shape, data };
  });
  await writeSafetensorsFile(path, tensors);
}

/** Graphs and adapter of a training run on that checkpoint. */
export async function openTrainingModel(checkpoint: string, gradientCheckpointing: boolean, attention: AttentionPlan) {
  const store = await openSafetensorsFile(checkpoint);
  const model = resolveWeights(store, wan, { task: 't2v-1.3B', modelConfig });
  await store.close();
  const modules = selectTargets(wan.lora.modules(model.config), {
    blockClasses: [wan.lora.targetClass],
    exclude: wan.lora.defaultExcludePatterns,
  });
  const adapter = createLora({ modules, rank, alpha: rank, generator: new TorchGenerator(2) });
  const graphs = createTrainingModel({
    architecture: wan,
    config: model.config,
    weights: model.source(() => 'dit.safetensors'),
    adapter,
    gradientCheckpointing,
    attention,
  });
  const weightBytes = [...model.weights.values()].reduce((sum, w) => sum + w.byteLength, 0);
  return { adapter, graphs, weightBytes };
}

function wanConfig(sizes: typeof modelConfig): WanConfig {
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
