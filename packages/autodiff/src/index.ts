export { type Checkpoint, type CheckpointTensor, type TrainingArtifacts, artifactFiles } from './artifacts.ts';
export { AutodiffError, type AutodiffErrorCode } from './errors.ts';
export { type GradientRule, type RuleCall, type Thunk } from './rules/rule.ts';
export { gradientRules, nonDifferentiable } from './rules/table.ts';
export { type TrainingGraphs, type TrainingOptions, createTrainingGraphs, gradientName } from './training.ts';
export { blockOf } from './recomputed-blocks.ts';
export { type Vjp, type VjpOptions, vjp } from './vjp.ts';
