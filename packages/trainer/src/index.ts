export { type AssembledRun, type RunParts, assembleRun } from './assemble-run.ts';
export { epochFile, epochToRemove, lastFile, stepFile, stepToRemove } from './checkpoint-files.ts';
export { TrainerError, type TrainerErrorCode, type TrainerErrorFacts } from './errors.ts';
export { type MicroBatch, type MicroBatchOptions, microBatchFeeds, prepareMicroBatch } from './micro-batch.ts';
export { type AttentionFacts, type PlannedAttention, planAttention } from './plan-attention.ts';
export { type RunFacts, type SaveMoment, adapterMetadata } from './run-metadata.ts';
export { type AdapterFolder, type Saving, createSaving } from './saving.ts';
export { type DeviceWeightsOptions, deviceWeights } from './device-weights.ts';
export { type OpenDeviceWeightsOptions, type OpenedDeviceWeights, openDeviceWeights } from './open-device-weights.ts';
export { type StepOutcome, type TrainedWeights } from './trained-weights.ts';
export { type StepPlan, planSteps } from './step-plan.ts';
export {
  type BatchReport,
  type RunPosition,
  type RunStep,
  type TrainableParameter,
  type TrainingHooks,
  type TrainingResult,
  type TrainingRun,
  train,
} from './train.ts';
export { lowerEightBit } from './lower-eight-bit.ts';
export { type LowerWeights, type TrainingModelOptions, createTrainingModel } from './training-model.ts';
export { type TrainingArtifactsOptions, createTrainingArtifacts } from './training-artifacts.ts';
export {
  type EncodedPicture,
  type LatentEncoder,
  type PreparedPictures,
  encodePictures,
} from './caching/encode-pictures.ts';
export { type LatentCacheOptions, latentCache } from './caching/latent-cache.ts';
export { type CacheContents, type EncodedValues } from './caching/stored-values.ts';
export { encodeTextCache } from './caching/text-cache-file.ts';
export { type TextCacheOptions, mergeTextCache, textCache } from './caching/text-cache.ts';
