import { totalmem } from 'node:os';
import { basename } from 'node:path';

import type { Graph } from '../../packages/onnx-graph/src/index.ts';
import type { MemoryFacts, MemoryPlan, Runtime, Session, SessionRequest } from '../../packages/runtime/src/index.ts';

import { loraFeeds } from '../../packages/lora/src/graph.ts';
import { resolveWeights, wanVae } from '../../packages/models/src/index.ts';
import { encodeModel } from '../../packages/onnx-graph/src/index.ts';
import { TorchGenerator } from '../../packages/random/src/index.ts';
import { planMemory } from '../../packages/runtime/src/index.ts';
import { openSafetensorsFile } from '../../packages/safetensors/src/node.ts';
import { randomFeeds } from '../step/feeds.ts';
import { type Base, type Sizes, openTrainingModel } from '../step/model.ts';

/** What is computed to measure session options by. */
export type SubjectRequest = { readonly checkpoint: string; readonly threads: number } & (
  | {
      readonly kind: 'training';
      readonly sizes: Sizes;
      readonly base: Base;
      /** Batches of these lengths follow one another. */
      readonly tokens: readonly number[];
      /** Attention in pieces of so many queries, blocks computed again; else whole. */
      readonly pieces?: number;
    }
  | { readonly kind: 'picture'; readonly width: number; readonly height: number }
);

export type Settings = MemoryPlan & Pick<SessionRequest, 'optimization'>;

export interface Subject {
  readonly plan: MemoryPlan;
  /** A session with these settings, as what computes everything once. */
  open(settings: Settings): Promise<() => Promise<unknown>>;
}

export function openSubject(request: SubjectRequest, runtime: Runtime): Promise<Subject> {
  return request.kind === 'training' ? trainingOf(request, runtime) : pictureOf(request, runtime);
}

async function trainingOf(
  { checkpoint, threads, sizes, base, tokens, pieces }: SubjectRequest & { kind: 'training' },
  runtime: Runtime,
): Promise<Subject> {
  const isInPieces = pieces !== undefined;
  const attention = isInPieces ? { chunks: Math.ceil(Math.max(...tokens) / pieces), rows: pieces } : 'whole';
  const model = await openTrainingModel(checkpoint, isInPieces, attention, base, 'made', { sizes });
  const { training } = model.graphs;
  const trained = loraFeeds(model.adapter);
  const batches = tokens.map((S) => ({ ...randomFeeds(training, { B: 1, S }, trained), ...trained }));
  return {
    plan: planOf({ ...model.memoryFacts, threads }),
    async open(settings) {
      const session = await openSession(runtime, training, settings, model.externalFiles);
      return async () => {
        for (const batch of batches) await session.run(batch, ['loss']);
      };
    },
  };
}

/** A picture encoded by the Wan 2.1 VAE: convolutions. */
async function pictureOf(
  { checkpoint, threads, width, height }: SubjectRequest & { kind: 'picture' },
  runtime: Runtime,
): Promise<Subject> {
  const store = await openSafetensorsFile(checkpoint);
  const { config, weights, source } = resolveWeights(store, wanVae);
  await store.close();
  const location = basename(checkpoint);
  const picture = {
    dtype: 'float32',
    shape: [1, 3, 1, height, width],
    data: new TorchGenerator(2).rand(3 * height * width),
  } as const;
  return {
    plan: planOf({
      weightBytes: [...weights.values()].reduce((sum, { byteLength }) => sum + byteLength, 0),
      usesPerWeight: 1,
      threads,
    }),
    async open(settings) {
      const open = (graph: Graph) => openSession(runtime, graph, settings, { [location]: checkpoint });
      const encoder = wanVae.createEncoder(
        source(() => location),
        config,
        open,
      );
      return () => encoder.encode(picture);
    },
  };
}

const planOf = (facts: Omit<MemoryFacts, 'totalMemoryBytes'>): MemoryPlan =>
  planMemory({ ...facts, totalMemoryBytes: totalmem() });

const openSession = (
  runtime: Runtime,
  graph: Graph,
  { optimization, ...memory }: Settings,
  externalFiles: Readonly<Record<string, string>>,
): Promise<Session> =>
  runtime.createSession({
    model: encodeModel(graph),
    externalFiles,
    memory,
    ...(optimization === undefined ? {} : { optimization }),
  });
