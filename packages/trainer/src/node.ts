export { type RunHooks, type TrainEvent, type TrainOutcome, type TrainStep, runTraining } from './node/run-training.ts';
