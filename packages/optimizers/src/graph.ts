export { adamwFactors, adamwGraph, adamwGraphNames, adamwMoments } from './adamw-graph.ts';
export type { AdamwGraphGroup, AdamwGraphOptions, AdamwMoments } from './adamw-graph.ts';
export { adamwGraphOptions } from './adamw-graph-options.ts';
export { gradientSumGraph, gradientSumNames } from './gradient-sum-graph.ts';
export { adamwScheduleFreeGraph, scheduleFreeAverageGraph, scheduleFreeGraphNames } from './schedule-free-graph.ts';
export type { AdamwScheduleFreeGraphOptions } from './schedule-free-graph.ts';
