export type { RunHooks, TrainEvent, TrainOutcome, TrainStep } from './node/run-hooks.ts';
export { runTraining } from './node/run-training.ts';
export type { LearningRatePlan } from './learning-rate-plan.ts';
export { planLearningRates } from './node/plan-learning-rates.ts';
export type { CachingHooks, CachingOutcome, CachingProgress } from './node/caching/hooks.ts';
export { runCacheLatents } from './node/caching/cache-latents.ts';
export { runCacheTexts } from './node/caching/cache-texts.ts';
export type { Finding, FindingPlace } from './findings.ts';
export { findingsOf } from './findings.ts';
export { checkCacheLatents, checkCacheTexts } from './node/checking/check-caching.ts';
export { checkTraining } from './node/checking/check-training.ts';
export type {
  Alternative,
  DeviceEstimate,
  EstimateHooks,
  EstimatedMachine,
  RunEstimate,
} from './node/estimate/estimate-run.ts';
export type { BucketEstimate } from './node/estimate/cost-of-run.ts';
export type { BatchShape } from './node/estimate/batch-shapes.ts';
export type { DeviceMemory } from './estimate/device-memory.ts';
export type { RunMemory } from './estimate/memory-of-run.ts';
export { estimateRun } from './node/estimate/estimate-run.ts';
