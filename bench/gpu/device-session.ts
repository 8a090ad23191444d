import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';

import type { Graph, HostTensor } from '../../packages/onnx-graph/src/index.ts';
import type { MemoryFacts, Provider, Runtime, Session } from '../../packages/runtime/src/index.ts';
import type { Measured } from './request.ts';

import { encodeModel } from '../../packages/onnx-graph/src/index.ts';
import { describeOperators, planMemory, readPlacement } from '../../packages/runtime/src/index.ts';

export interface DeviceModel {
  readonly graph: Graph;
  readonly externalFiles: Readonly<Record<string, string>>;
  readonly memoryFacts: Omit<MemoryFacts, 'totalMemoryBytes'>;
}

export type Tensors = Readonly<Record<string, HostTensor>>;

export function openOn(
  runtime: Runtime,
  device: Provider,
  { graph, externalFiles, memoryFacts }: DeviceModel,
  profileFilePrefix?: string,
): Promise<Session> {
  return runtime.createSession({
    model: encodeModel(graph),
    externalFiles,
    memory: planMemory({ ...memoryFacts, totalMemoryBytes: totalmem() }),
    providers: [device],
    ...(profileFilePrefix === undefined ? {} : { profileFilePrefix }),
  });
}

/** Feeds by the names that a session has, as recorded batches may hold more. */
export const feedsFor = ({ inputNames }: Session, feeds: Tensors): Tensors =>
  Object.fromEntries(Object.entries(feeds).filter(([name]) => inputNames.includes(name)));

/** Where the nodes of one run are computed, and what crosses the bus, as figures that begin with `name`. */
export async function measurePlacement(
  name: string,
  runtime: Runtime,
  device: Provider,
  model: DeviceModel,
  feeds: Tensors,
): Promise<Measured> {
  const folder = await mkdtemp(join(process.cwd(), 'profile-'));
  try {
    const session = await openOn(runtime, device, model, join(folder, 'step'));
    const given = feedsFor(session, feeds);
    const outputs = await session.run(given);
    await session.endProfile();
    await session.release();
    const [file = ''] = await readdir(folder);
    const { nodes, onCpu, shapeNodes, copies } = readPlacement(await readFile(join(folder, file), 'utf8'));
    const left = device === 'cpu' ? {} : onCpu;
    return {
      [`${name}_nodes`]: count(nodes),
      [`${name}_nodes_left_to_cpu`]: count(left),
      ...(count(left) > 0 ? { [`${name}_operators_left_to_cpu`]: describeOperators(left) } : {}),
      [`${name}_shape_nodes`]: device === 'cpu' ? 0 : shapeNodes,
      [`${name}_copies`]: copies,
      [`${name}_to_device_mb`]: megabytes(given),
      [`${name}_from_device_mb`]: megabytes(outputs),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const count = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((a, b) => a + b, 0);

const megabytes = (tensors: Tensors): number =>
  Object.values(tensors).reduce((sum, { data }) => sum + data.byteLength, 0) / 1e6;
