export { loraName } from './naming.ts';
export { selectTargets } from './targets.ts';
export type { TargetModule, TargetRules, UserPatterns } from './targets.ts';
export { compilePattern } from './pattern.ts';
export { filterKeys } from './filter-keys.ts';
export type { KeyFilter } from './filter-keys.ts';
export { createAdapter, createLora, factorize } from './create.ts';
export type { CreateAdapterOptions, CreateLoraOptions, UniformGenerator } from './create.ts';
export { factorsOf, loraParameters } from './adapter.ts';
export type {
  Adapter,
  AdapterKind,
  AdapterModule,
  Factor,
  LoraAdapter,
  LoraModule,
  LoraParameter,
  ProductModule,
} from './adapter.ts';
export { readAdapter, readLora } from './read.ts';
export { loadWeights } from './load-weights.ts';
export type { LoadedWeights } from './load-weights.ts';
export { loraGroups } from './lora-plus.ts';
export type { LoraGroup } from './lora-plus.ts';
export { limitWeightNorms } from './weight-norms.ts';
export type { WeightNorms } from './weight-norms.ts';
export { assertDropout, drawDropout, hasDropout } from './dropout.ts';
export type { DropoutMask, DropoutOptions, UniformSource } from './dropout.ts';
export { loraFile } from './lora-file.ts';
export type { LoraFile } from './lora-file.ts';
export { loraTensors, savePrecision } from './tensors.ts';
export type { LoraDtype } from './tensors.ts';
export { convertLora } from './convert.ts';
export type { ConvertedLora, ConvertOptions } from './convert.ts';
export { modulePath } from './module-path.ts';
export { createMerger, mergeLora } from './merge.ts';
export type { LoraMerger, MergedAdapter, MergedModel, MergedWeight, MergeOptions } from './merge.ts';
export { emaBetas, gammaOfSigmaRel, postHocEma } from './post-hoc-ema.ts';
export type { AveragedLora, PostHocEmaOptions } from './post-hoc-ema.ts';
export { hashTensors } from './hashes.ts';
export type { HashedTensors } from './hashes.ts';
export { RECORDED_OPTIONS, trainingMetadata } from './training-metadata.ts';
export type { SaveFacts, TrainingFacts } from './training-metadata.ts';
export { modelspecMetadata } from './modelspec.ts';
export type { ModelspecArchitecture, ModelspecFacts } from './modelspec.ts';
export { pythonFloat, pythonText } from './python-notation.ts';
export { LoraError } from './errors.ts';
export type { LoraErrorCode, LoraErrorFacts } from './errors.ts';
