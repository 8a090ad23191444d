import type { Architecture } from '../architecture.ts';
import type { WanConfig } from './config.ts';

import { inferWanConfig, patchSize } from './config.ts';
import { wanTransformer } from './model.ts';
import { blockClass, wanLinears, wanParameters } from './parameters.ts';
import { prepareWan } from './prepare.ts';
import { wanTasks } from './tasks.ts';
import { fromTokens, toTokens } from './tokens.ts';

/** Pixels, and frames, that make one of the latents; the first frame is one of its own. */
const latentStride = { pixels: 8, frames: 4 };

/** Wan 2.1 and Wan 2.2 14B, text to video (Wan Team 2025, arXiv 2503.20314). */
export const wan = {
  shortName: 'wan',
  longName: 'wan',
  tasks: wanTasks,
  // of 2.2 too, as the original writes it
  modelspec: {
    architecture: 'wan2.1',
    implementation: 'https://github.com/Wan-Video/Wan2.1',
    resolution: '1280x720',
  },
  lora: {
    networkModule: 'networks.lora_wan',
    targetClass: blockClass,
    defaultExcludePatterns: ['.*(patch_embedding|text_embedding|time_embedding|time_projection|norm|head).*'],
    modules: wanLinears,
  },
  inferConfig: inferWanConfig,
  parameters: wanParameters,
  /** The modulations of the blocks, then the head's. */
  constructionDraws: ({ layers, width }) => [...Array.from({ length: layers }, () => [1, 6, width]), [1, 2, width]],
  float32Parts: ['time_embedding', 'time_projection', 'head'],
  attention: ({ heads, layers }) => ({ heads, layers }),
  sequenceLength: ({ width, height, frames }) =>
    (1 + Math.floor((frames - 1) / latentStride.frames)) *
    Math.floor(width / (latentStride.pixels * patchSize)) *
    Math.floor(height / (latentStride.pixels * patchSize)),
  build: (params, config) => ({ prediction: wanTransformer(params, config) }),
  prepare: prepareWan,
  toOutputTokens: (_, latents) => toTokens(latents, 'row, column, channel'),
  fromOutputTokens: (_, tokens, latentShape) => fromTokens(tokens, latentShape, 'row, column, channel'),
} as const satisfies Architecture<WanConfig>;
