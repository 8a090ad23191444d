import { createMemoryModel } from '@musubi/onnx-graph/analysis';

import type { Graph } from '@musubi/onnx-graph';
import type { Device } from '../choose-device.ts';
import type { BatchShape } from './batch-shapes.ts';
import type { PlannedRun } from './planned-run.ts';

import { secondsPerParameter } from '../../estimate/constants.ts';
import { type DeviceMemory, memoryOfDevice } from '../../estimate/device-memory.ts';
import { loadedGraph } from '../../estimate/loaded-graph.ts';
import { type RunMemory, memoryOfGraph } from '../../estimate/memory-of-run.ts';
import { type DeviceSpeed, graphSeconds } from '../../estimate/step-time.ts';
import { type ShapeWork, flopsOf } from './shape-work.ts';

export interface BucketEstimate extends BatchShape {
  /** The graph's lengths, e.g. `S` tokens. */
  readonly lengths: Readonly<Record<string, number>>;
  /** Forward and backward pass. */
  readonly flops: number;
  readonly activationBytes: number;
  /** Forward and backward pass of one batch. */
  readonly seconds: number;
}

/** What a planned run needs. */
export interface RunCost {
  readonly memory: RunMemory;
  /** Null where the CPU computes. */
  readonly deviceMemory: DeviceMemory | null;
  readonly buckets: readonly BucketEstimate[];
  /** Mean over an epoch. */
  readonly secondsPerStep: number;
}

export interface CostFacts {
  /** Numbers of the adapter. */
  readonly parameters: number;
  /** Bytes of the optimizer's state. */
  readonly optimizerState: number;
  readonly device: Device;
  /** See `watchProgram`. */
  readonly processBytes: number;
  readonly gradientAccumulationSteps: number;
}

/** A training graph as the device gets it. */
export const graphOnDevice = (training: Graph, { memory }: Pick<PlannedRun, 'memory'>, { provider }: Device): Graph =>
  provider !== 'cpu' && memory.foldConstants ? loadedGraph(training) : training;

/** @param graph by {@link graphOnDevice}; `shapes` are by it too */
export function costOf(
  graph: Graph,
  { memory, sessions }: Pick<PlannedRun, 'memory' | 'sessions'>,
  shapes: readonly ShapeWork[],
  speed: DeviceSpeed,
  { device, processBytes, gradientAccumulationSteps, parameters, optimizerState }: CostFacts,
): RunCost {
  const isOnDevice = device.provider !== 'cpu';
  const model = createMemoryModel(graph, { arena: memory.arena });
  const buckets = shapes.map(({ shape, symbols, work }): BucketEstimate => ({
    ...shape,
    lengths: Object.fromEntries(symbols),
    flops: flopsOf(work),
    activationBytes: model.timeline(symbols).peakLiveBytes,
    seconds: graphSeconds(work, speed),
  }));
  const batches = buckets.reduce((sum, { batchesPerEpoch }) => sum + batchesPerEpoch, 0);
  const seconds = buckets.reduce((sum, bucket) => sum + bucket.batchesPerEpoch * bucket.seconds, 0) / batches;
  const shared = { graph, model, runs: shapes.map(({ symbols }) => symbols), sessions, parameterBytes: 4 * parameters };
  return {
    buckets,
    secondsPerStep: gradientAccumulationSteps * seconds + parameters * secondsPerParameter,
    memory: memoryOfGraph({ ...shared, memory, process: processBytes, optimizerState, isOnDevice }),
    deviceMemory: isOnDevice ? memoryOfDevice({ ...shared, provider: device.provider }) : null,
  };
}
