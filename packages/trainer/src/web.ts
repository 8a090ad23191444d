export { type Finding, type FindingPlace, findingsOf } from './findings.ts';
export type { TrainEvent, TrainOutcome, TrainStep } from './node/run-hooks.ts';
export { type WebRunOptions, runTraining } from './web/run-training.ts';
