export { adamwGraph, adamwGraphNames } from './adamw-graph.ts';
export type { AdamwGraphGroup, AdamwGraphOptions } from './adamw-graph.ts';
