import type {
  CachingHooks,
  CachingOutcome,
  EstimateHooks,
  RunEstimate,
  RunHooks,
  TrainOutcome,
  runCacheLatents,
  estimateRun,
  runCacheTexts,
  runTraining,
} from '@musubi/trainer/node';

export type { CachingOutcome, RunEstimate, TrainEvent, TrainOutcome, TrainStep } from '@musubi/trainer/node';

/** What the command line gives a training run. */
export type TrainHooks = Required<Omit<RunHooks, 'runtime'>>;

/** What the command line gives a run that makes caches. */
export type CacheHooks = Required<Omit<CachingHooks, 'runtime'>>;

/** What the command line needs of a trainer. */
export interface Trainer {
  runTraining(config: Parameters<typeof runTraining>[0], hooks: TrainHooks): Promise<TrainOutcome>;
  runCacheLatents(config: Parameters<typeof runCacheLatents>[0], hooks: CacheHooks): Promise<CachingOutcome>;
  runCacheTexts(config: Parameters<typeof runCacheTexts>[0], hooks: CacheHooks): Promise<CachingOutcome>;
  estimateRun(config: Parameters<typeof estimateRun>[0], hooks: EstimateHooks): Promise<RunEstimate>;
}
