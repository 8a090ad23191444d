import type { Graph } from '@musubi/onnx-graph';
import type { MemoryModel, Symbols } from '@musubi/onnx-graph/analysis';
import type { MemoryPlan } from '@musubi/runtime';

import { createMemoryModel, createSizes, packedWeightBytes } from '@musubi/onnx-graph/analysis';

import { bytesPerNode, copiesOfAdapter, copiesOfFeeds, copiesOfGradients } from './constants.ts';
import { foldedBytes } from './loaded-graph.ts';

/**
 * Anonymous memory of a training process by what it is for, in bytes. Weights mapped from their files do not count. Where a
 * graphics device computes, it has the activations, see `DeviceMemory`.
 */
export interface RunMemory {
  /** Node.js, this program with its graphs, ONNX Runtime and the graph in it. */
  readonly process: number;
  /** Copies of the weights that ONNX Runtime makes for speed; for a device, those that it widens as it loads the graph. */
  readonly packedWeights: number;
  /** What forward and backward pass keep, gradients included, after batches of all sizes. */
  readonly activations: number;
  /** A batch and its noise on the way to the graph. */
  readonly batches: number;
  /** The adapter: its weights, the copy that a failed step is undone with, and one on the way to the graph. */
  readonly adapter: number;
  /** Gradients outside the graph: as they come out, and their sum or those of the step before. */
  readonly gradients: number;
  readonly optimizerState: number;
  readonly total: number;
}

export interface RunMemoryFacts {
  readonly graph: Graph;
  /** Of that graph, by default made here. */
  readonly model?: MemoryModel;
  /** The graph's lengths for each size of batch. */
  readonly runs: readonly Symbols[];
  readonly memory: MemoryPlan;
  /** Sessions of such graphs that are open at the same time. */
  readonly sessions: number;
  /** Bytes of the process once it has made the graph and before it opens a session; numbers of tensors are not in it. */
  readonly process: number;
  readonly optimizerState: number;
  readonly parameterBytes: number;
  /** Whether a graphics device computes; the graph is as it is loaded then, see `loadedGraph`. Default false. */
  readonly isOnDevice?: boolean;
}

export function memoryOfGraph(facts: RunMemoryFacts): RunMemory {
  const { graph, runs, memory, sessions, parameterBytes, optimizerState, isOnDevice = false } = facts;
  const { model = createMemoryModel(graph, { arena: memory.arena }) } = facts;
  const onHost = () => ({
    packedWeights: memory.prepackWeights ? sessions * packedWeightBytes(graph) : 0,
    activations: sessions * model.peakBytesOf(distinct(runs)),
  });
  const parts = {
    process: facts.process + sessions * bytesPerNode * graph.nodes.length,
    // Sessions are created one after another.
    ...(isOnDevice ? { packedWeights: foldedBytes(graph), activations: 0 } : onHost()),
    batches: copiesOfFeeds * Math.max(0, ...runs.map((symbols) => feedBytes(graph, symbols))),
    adapter: copiesOfAdapter * parameterBytes,
    gradients: copiesOfGradients * parameterBytes,
    optimizerState,
  };
  return { ...parts, total: Object.values(parts).reduce((a, b) => a + b, 0) };
}

/** Of inputs whose shapes depend on the batch; the others are the adapter's weights. */
export function feedBytes(graph: Graph, symbols: Symbols): number {
  const sizes = createSizes(symbols);
  const data = graph.inputs.filter(({ shape }) => shape.some((dim) => typeof dim === 'string'));
  return data.reduce((sum, value) => sum + sizes.bytes(value), 0);
}

/** One of each. */
export function distinct(runs: readonly Symbols[]): Symbols[] {
  return [...new Map(runs.map((symbols) => [JSON.stringify([...symbols]), symbols])).values()];
}
