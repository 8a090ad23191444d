import type { Autoencoder } from '../autoencoder.ts';
import type { WanVaeConfig } from './config.ts';

import { compression, inferWanVaeConfig, wanVae21 } from './config.ts';
import { createWanVaeDecoder, createWanVaeEncoder } from './evaluate.ts';
import { wanVaeParameters } from './parameters.ts';

/** The causal 3D VAE of Wan 2.1, also of Wan 2.2 14B (Wan Team 2025, arXiv 2503.20314, §4.1). */
export const wanVae = {
  longName: 'Wan 2.1 VAE',
  published: wanVae21,
  compression,
  latentChannels: ({ latentChannels }) => latentChannels,
  inferConfig: inferWanVaeConfig,
  parameters: wanVaeParameters,
  createEncoder: createWanVaeEncoder,
  createDecoder: createWanVaeDecoder,
} as const satisfies Autoencoder<WanVaeConfig>;
