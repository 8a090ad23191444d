import type { LoraModule, Parameter } from '../architecture.ts';
import type { WanConfig } from './config.ts';

import { patchSize } from './config.ts';

/** Every tensor of a checkpoint, in the order of the model. */
export function wanParameters(config: WanConfig): Parameter[] {
  const { width, channels, layers } = config;
  const patch = [1, patchSize, patchSize];
  return [
    { name: 'patch_embedding.weight', shape: [width, channels, ...patch] },
    { name: 'patch_embedding.bias', shape: [width] },
    ...embeddings(config).flatMap(parametersOf),
    ...Array.from({ length: layers }, (_, i) => blockParameters(`blocks.${i}`, config)).flat(),
    { name: 'head.modulation', shape: [1, 2, width] },
    ...parametersOf(head(config)),
  ];
}

/** Every Linear, in the order in which the original walks them. */
export const wanLinears = (config: WanConfig): LoraModule[] => [
  ...embeddings(config),
  ...Array.from({ length: config.layers }, (_, i) => blockLinears(`blocks.${i}`, config)).flat(),
  head(config),
];

export const blockClass = 'WanAttentionBlock';

const embeddings = ({ width, textWidth, timeWidth }: WanConfig): LoraModule[] => [
  linear('text_embedding.0', textWidth, width),
  linear('text_embedding.2', width, width),
  linear('time_embedding.0', timeWidth, width),
  linear('time_embedding.2', width, width),
  linear('time_projection.1', width, 6 * width),
];

const head = ({ width, channels }: WanConfig): LoraModule => linear('head.head', width, patchSize ** 2 * channels);

const blockLinears = (block: string, { width, ffnWidth }: WanConfig): LoraModule[] => [
  ...['self_attn', 'cross_attn'].flatMap((attention) =>
    ['q', 'k', 'v', 'o'].map((part) => linear(`${block}.${attention}.${part}`, width, width, blockClass)),
  ),
  linear(`${block}.ffn.0`, width, ffnWidth, blockClass),
  linear(`${block}.ffn.2`, ffnWidth, width, blockClass),
];

const blockParameters = (block: string, config: WanConfig): Parameter[] => {
  const shape = [config.width];
  return [
    { name: `${block}.modulation`, shape: [1, 6, config.width] },
    { name: `${block}.norm3.weight`, shape },
    { name: `${block}.norm3.bias`, shape },
    ...['self_attn', 'cross_attn'].flatMap((attention) => [
      { name: `${block}.${attention}.norm_q.weight`, shape },
      { name: `${block}.${attention}.norm_k.weight`, shape },
    ]),
    ...blockLinears(block, config).flatMap(parametersOf),
  ];
};

const parametersOf = ({ path, inFeatures, outFeatures }: LoraModule): Parameter[] => [
  { name: `${path}.weight`, shape: [outFeatures, inFeatures] },
  { name: `${path}.bias`, shape: [outFeatures] },
];

const linear = (path: string, inFeatures: number, outFeatures: number, inBlock: string | null = null): LoraModule => ({
  path,
  kind: 'linear',
  inFeatures,
  outFeatures,
  blockClass: inBlock,
});
