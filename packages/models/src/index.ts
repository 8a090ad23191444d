export type {
  Architecture,
  ConfigHints,
  LoraModule,
  LoraTargets,
  ModelBatch,
  Modelspec,
  Parameter,
  Shaped,
  Task,
} from './architecture.ts';
export { ModelError, type ModelErrorCode, type ModelErrorFacts } from './errors.ts';
export { type CheckpointModel, type ResolvedWeights, eightBitKeyName, resolveWeights } from './weights.ts';
export { wan } from './wan/index.ts';
export type { WanConfig } from './wan/config.ts';
export { type TextEncoder } from './text-encoder.ts';
export { umt5 } from './umt5/index.ts';
export type { Umt5Config } from './umt5/config.ts';
export {
  type Autoencoder,
  type Compression,
  type ImageDecoder,
  type ImageEncoder,
  type OpenGraph,
  type OpenedGraph,
} from './autoencoder.ts';
export { wanVae } from './wan-vae/index.ts';
export { encodeFirstFrame } from './wan-vae/first-frame.ts';
export type { WanVaeConfig, WanVaeLevel } from './wan-vae/config.ts';
