export { executionOrder } from './analysis/order.ts';
export {
  type LiveTensor,
  type MemoryModel,
  type MemoryOptions,
  type MemoryStep,
  type MemoryTimeline,
  createMemoryModel,
} from './analysis/memory.ts';
export { type Sizes, type Symbols, createSizes, symbolsOf } from './analysis/sizes.ts';
export { type WeightSummary, operatorCounts, packedWeightBytes, weightSummary } from './analysis/summary.ts';
export { type NodeWork, type Product, graphWork, productFlops } from './analysis/work.ts';
