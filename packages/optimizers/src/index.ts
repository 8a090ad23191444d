export { createOptimizer, findOptimizer } from './create-optimizer.ts';
export { clipGradNorm } from './clip-grad-norm.ts';
export type { Optimizer, OptimizerState, Parameter, ParameterGroup } from './optimizer.ts';
export { optimizers } from './registry.ts';
export type { OptimizerDefinition } from './registry.ts';

export type { ArgumentReader } from './internal/arguments.ts';
export type { Item, Rule, SlotSpec, StepContext } from './internal/create-from-rule.ts';
export { roundStochastically } from './stochastic-rounding.ts';
export { OptimizerError } from './errors.ts';
export type { OptimizerErrorCode } from './errors.ts';
