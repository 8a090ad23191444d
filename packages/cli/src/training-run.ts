import type { RunHooks, TrainOutcome, runTraining } from '@musubi/trainer/node';

export type { TrainEvent, TrainOutcome, TrainStep } from '@musubi/trainer/node';

/** What the command line gives a run. */
export type TrainHooks = Required<Omit<RunHooks, 'runtime'>>;

/** What the command line needs of a trainer. */
export interface Trainer {
  runTraining(config: Parameters<typeof runTraining>[0], hooks: TrainHooks): Promise<TrainOutcome>;
}
