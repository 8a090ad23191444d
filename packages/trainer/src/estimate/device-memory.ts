import type { Graph } from '@musubi/onnx-graph';
import type { MemoryModel, Symbols } from '@musubi/onnx-graph/analysis';
import type { Provider } from '@musubi/runtime';

import { contextBytes } from './constants.ts';
import { weightBytes } from './loaded-graph.ts';
import { distinct, feedBytes } from './memory-of-run.ts';

/** Memory of a graphics device by what it is for, in bytes. What is beside it on the host is `RunMemory`. */
export interface DeviceMemory {
  /** As the graph has them: those in 8 bits in 8 bits, those that are widened as the graph is loaded in float32. */
  readonly weights: number;
  /** What forward and backward pass keep, gradients included, after batches of all sizes. */
  readonly activations: number;
  /** The weights of the adapter, which cross in each step. */
  readonly adapter: number;
  readonly batches: number;
  /** What the provider takes for itself; 0 where that is not known. */
  readonly context: number;
}

export interface DeviceMemoryFacts {
  /** As it is loaded, see `loadedGraph`. */
  readonly graph: Graph;
  /** Of that graph. */
  readonly model: MemoryModel;
  /** The graph's lengths for each size of batch. */
  readonly runs: readonly Symbols[];
  readonly provider: Provider;
  /** Sessions of such graphs that are open at the same time: each has its weights, and an arena of its own. */
  readonly sessions: number;
  readonly parameterBytes: number;
}

/**
 * By the rules of the CPU's planner and arena, which a card's are made like: its kernels write over an input more often, so
 * this may tell somewhat too much.
 */
export function memoryOfDevice(facts: DeviceMemoryFacts): DeviceMemory {
  const { graph, model, runs, provider, sessions, parameterBytes } = facts;
  return {
    weights: sessions * weightBytes(graph),
    activations: sessions * model.peakBytesOf(distinct(runs)),
    adapter: sessions * parameterBytes,
    batches: sessions * Math.max(0, ...runs.map((symbols) => feedBytes(graph, symbols))),
    context: contextBytes[provider] ?? 0,
  };
}
