export { adamwFactors, adamwGraph, adamwGraphNames } from './adamw-graph.ts';
export type { AdamwGraphGroup, AdamwGraphOptions } from './adamw-graph.ts';
export { adamwGraphOptions } from './adamw-graph-options.ts';
export { gradientSumGraph, gradientSumNames } from './gradient-sum-graph.ts';
export { adamwScheduleFreeGraph, scheduleFreeAverageGraph, scheduleFreeGraphNames } from './schedule-free-graph.ts';
export type { AdamwScheduleFreeGraphOptions } from './schedule-free-graph.ts';
