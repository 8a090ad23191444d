export type { RunHooks, TrainEvent, TrainOutcome, TrainStep } from './node/run-hooks.ts';
export { runTraining } from './node/run-training.ts';
