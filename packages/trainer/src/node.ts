export { type RunHooks, type TrainOutcome, runTraining } from './node/run-training.ts';
