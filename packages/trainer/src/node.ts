export type { RunHooks, TrainEvent, TrainOutcome, TrainStep } from './node/run-hooks.ts';
export { runTraining } from './node/run-training.ts';
export type { LearningRatePlan } from './learning-rate-plan.ts';
export { planLearningRates } from './node/plan-learning-rates.ts';
export type { CachingHooks, CachingOutcome, CachingProgress } from './node/caching/hooks.ts';
export { runCacheLatents } from './node/caching/cache-latents.ts';
export { runCacheTexts } from './node/caching/cache-texts.ts';
