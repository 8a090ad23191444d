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
export { type ResolvedWeights, resolveWeights } from './weights.ts';
export { wan } from './wan/index.ts';
export type { WanConfig } from './wan/config.ts';
