import type { OpenGraph, ResolvedWeights } from '@musubi/models';
import type { Runtime } from '@musubi/runtime';

import { totalmem } from 'node:os';

import { encodeModel, fuseProducts, gateWeights } from '@musubi/onnx-graph';
import { type MemoryPlan, planMemory } from '@musubi/runtime';

export interface OpenGraphOptions {
  /** Files of the checkpoint by their location in the graphs, e.g. `paths` of `createWeightFiles`. */
  readonly externalFiles: Readonly<Record<string, string>>;
  /** Of the checkpoint, by which memory is planned. */
  readonly weights: ResolvedWeights<unknown>['weights'];
  readonly threads?: number;
}

/** Opens sessions for models that only run forward: encoders of captions and pictures, decoders. */
export function createOpenGraph(runtime: Runtime, { externalFiles, weights, threads }: OpenGraphOptions): OpenGraph {
  const memory = forwardMemory(weights, threads);
  return (graph, label) =>
    runtime.createSession({ label, model: encodeModel(gateWeights(fuseProducts(graph))), externalFiles, memory });
}

function forwardMemory(weights: OpenGraphOptions['weights'], threads: number | undefined): MemoryPlan {
  const stored = [...weights.values()];
  return planMemory({
    weightBytes: stored.reduce((sum, w) => sum + w.byteLength, 0),
    totalMemoryBytes: totalmem(),
    narrowWeights: stored.some((w) => w.dtype !== 'F32' && w.shape.length > 1),
    usesPerWeight: 1,
    ...(threads === undefined ? {} : { threads }),
  });
}
