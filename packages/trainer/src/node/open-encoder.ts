import type { OpenGraph, OpenedGraph, ResolvedWeights } from '@musubi/models';
import type { Runtime, SessionRequest } from '@musubi/runtime';

import { type Graph, encodeModel, fuseProducts, gateOnDevice, gateWeights } from '@musubi/onnx-graph';
import { type MemoryPlan, planMemory } from '@musubi/runtime';
import { machineMemory } from '@musubi/runtime/node';

import type { Closing } from './open-parts.ts';

import { type PlacementOptions, watchPlacement } from './check-placement.ts';
import { type Device, foldingWeights, graphFor } from './choose-device.ts';

export interface OpenGraphOptions {
  /** Files of the checkpoint by their location in the graphs, e.g. `paths` of `createWeightFiles`. */
  readonly externalFiles: Readonly<Record<string, string>>;
  /** Of the checkpoint, by which memory is planned. */
  readonly weights: ResolvedWeights<unknown>['weights'];
  readonly threads?: number;
  /** Default the CPU. */
  readonly device?: Device;
  /** Tells where the nodes of each graph ran, once; on the CPU there is nothing to tell. */
  readonly placement?: Pick<PlacementOptions, 'isStrict' | 'logger'> & { readonly closing: Closing };
}

/** Opens sessions for models that only run forward: encoders of captions and pictures, decoders. */
export function createOpenGraph(runtime: Runtime, options: OpenGraphOptions): OpenGraph {
  const { externalFiles, weights, threads, device = { provider: 'cpu', deviceId: 0 } } = options;
  const { forWebGpu, gatesOnDevice, widenAtLoad } = graphFor(device);
  const memory = foldingWeights(forwardMemory(weights, threads), { widenAtLoad });
  const lower = (graph: Graph): Graph => {
    const fused = forWebGpu ? graph : fuseProducts(graph);
    const gated = widenAtLoad ? fused : gateWeights(fused);
    return gatesOnDevice ? gateOnDevice(gated) : gated;
  };
  const where = { externalFiles, memory, providers: [device.provider], deviceId: device.deviceId };
  const { placement } = options;
  return async (graph, label) => {
    const request = { label, model: encodeModel(lower(graph)), ...where };
    if (!placement || device.provider === 'cpu') return runtime.createSession(request);
    return openWatched(runtime, request, { device, ...placement, what: `a run of the ${label}` }, placement.closing);
  };
}

async function openWatched(
  runtime: Runtime,
  request: SessionRequest,
  options: PlacementOptions,
  closing: Closing,
): Promise<OpenedGraph> {
  const watch = await watchPlacement(options, closing);
  const session = await runtime.createSession({ ...request, profileFilePrefix: watch.profileFilePrefix });
  let isFirst = true;
  return {
    async run(feeds) {
      const outputs = await session.run(feeds);
      if (isFirst) await watch.afterFirstRun(session, feeds, outputs);
      isFirst = false;
      return outputs;
    },
    release: () => session.release(),
  };
}

function forwardMemory(weights: OpenGraphOptions['weights'], threads: number | undefined): MemoryPlan {
  const stored = [...weights.values()];
  return planMemory({
    weightBytes: stored.reduce((sum, w) => sum + w.byteLength, 0),
    totalMemoryBytes: machineMemory(),
    narrowWeights: stored.some((w) => w.dtype !== 'F32' && w.shape.length > 1),
    usesPerWeight: 1,
    ...(threads === undefined ? {} : { threads }),
  });
}
