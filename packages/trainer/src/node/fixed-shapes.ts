import type { Graph, HostTensor } from '@musubi/onnx-graph';
import type { MemoryPlan, Provider, Runtime, Session, SessionRequest } from '@musubi/runtime';

import { encodeModel } from '@musubi/onnx-graph';
import { defaultMemoryPlan } from '@musubi/runtime';
import { machineMemory } from '@musubi/runtime/node';

import type { RunStep } from '../train.ts';
import type { PlacementWatch } from './check-placement.ts';
import type { StoredBase } from '../eight-bit-weights.ts';
import type { Closing } from './open-parts.ts';

export interface FixedShapesOptions {
  /** Of the only model or of the one for low noise, then of the one for high noise. */
  readonly models: readonly { readonly graph: Graph; readonly request: Omit<SessionRequest, 'model'> }[];
  /** Sessions open at the same time, of all models together; see {@link mostSessions}. */
  readonly mostOpen: number;
  /** Of each model, on a device other than the CPU: watches the first step in each shape. */
  readonly watches?: readonly PlacementWatch[];
  readonly logger: (line: string) => void;
}

/**
 * Sessions whose lengths are numbers (`--compile --compile_dynamic false`): one for each model and shape of batches, made
 * when its first batch comes. When `mostOpen` are open, the one that was not used for longest makes room.
 */
export function openFixedShapeSessions(
  runtime: Runtime,
  { models, mostOpen, watches = [], logger }: FixedShapesOptions,
  closing: Closing,
): RunStep {
  // in the order of their last use
  const sessions = new Map<string, Session>();
  const told = new Set<string>();
  // a session that is made anew places its nodes as the one before it did
  const unwatched = new Set<string>();
  closing.push(async () => {
    for (const session of sessions.values()) await session.release();
    sessions.clear();
  });

  const open = async (index: number, lengths: ReadonlyMap<string, number>, key: string): Promise<Session> => {
    const model = models[index];
    if (!model) throw new Error(`internal: there is no training graph ${index}.`);
    for (const [oldest, session] of sessions) {
      if (sessions.size < mostOpen) break;
      sessions.delete(oldest);
      await session.release();
    }
    if (!told.has(key)) {
      logger(`graph of fixed shapes for ${key}`);
      unwatched.add(key);
    }
    told.add(key);
    const profileFilePrefix = unwatched.has(key) ? watches[index]?.profileFilePrefix : undefined;
    return runtime.createSession({
      ...model.request,
      model: encodeModel(model.graph, { lengths }),
      ...(mostOpen > 1 ? { memory: withoutArena(model.request.memory) } : {}),
      ...(profileFilePrefix ? { profileFilePrefix } : {}),
    });
  };

  return async (feeds, isHighNoise) => {
    const index = isHighNoise ? 1 : 0;
    const lengths = lengthsOf(models[index]?.graph, feeds);
    const named = [...lengths].map(([symbol, length]) => `${symbol} ${length}`).join(', ');
    const key = isHighNoise ? `high noise, ${named}` : named;
    const session = sessions.get(key) ?? (await open(index, lengths, key));
    sessions.delete(key);
    sessions.set(key, session);
    const outputs = await session.run(feeds);
    if (unwatched.delete(key)) await watches[index]?.afterFirstRun(session, feeds, outputs);
    return outputs;
  };
}

/** What the symbols of a graph's inputs are in a batch, e.g. `B` 1 and `S` 2048. */
function lengthsOf(graph: Graph | undefined, feeds: Readonly<Record<string, HostTensor>>): Map<string, number> {
  const lengths = new Map<string, number>();
  for (const { name, shape } of graph?.inputs ?? []) {
    for (const [axis, dim] of shape.entries()) {
      const length = feeds[name]?.shape[axis];
      if (typeof dim === 'string' && /^\w+$/.test(dim) && length !== undefined) lengths.set(dim, length);
    }
  }
  return lengths;
}

/** A session at rest would keep all memory of its largest step. */
const withoutArena = (memory: MemoryPlan = defaultMemoryPlan): MemoryPlan => ({ ...memory, arena: false });

const mostOnCpu = 4;

/**
 * How many sessions may be open at once. On the CPU those at rest cost little while weights stay in their files, and packed
 * copies of the weights, two of each, may take a quarter of the memory; a device has all weights of each session.
 */
export function mostSessions(
  provider: Provider,
  { prepackWeights }: Pick<MemoryPlan, 'prepackWeights'>,
  { weights }: Pick<StoredBase, 'weights'>,
  memoryBytes = machineMemory(),
): number {
  const weightBytes = [...weights.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
  if (provider !== 'cpu') return 1;
  if (!prepackWeights) return mostOnCpu;
  return Math.max(1, Math.min(mostOnCpu, Math.floor(memoryBytes / 4 / (2 * Math.max(1, weightBytes)))));
}
