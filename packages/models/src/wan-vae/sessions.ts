import type { HostTensor, Params, ParameterSource, Value } from '@musubi/onnx-graph';

import { Graph, createParams } from '@musubi/onnx-graph';

import type { OpenGraph, OpenedGraph } from '../autoencoder.ts';

import { type Chunk, pastOf } from './past.ts';

/** The graphs of a model that computes a sequence in runs, opened when first needed. */
export interface ChunkSessions {
  /**
   * Computes a sequence of `count` runs.
   *
   * @param feed the input of run `i`
   * @param take gets the output of run `i`
   */
  run(count: number, feed: (i: number) => HostTensor, take: (i: number, output: HostTensor) => void): Promise<void>;
  close(): Promise<void>;
}

export interface ChunkModel {
  /** For errors and profiles. */
  readonly label: string;
  readonly input: string;
  build(p: Params, chunk: Chunk): Value;
}

export function createChunkSessions(model: ChunkModel, weights: ParameterSource, open: OpenGraph): ChunkSessions {
  const opened = new Map<Chunk, Promise<OpenedGraph>>();

  function sessionOf(chunk: Chunk): Promise<OpenedGraph> {
    const known = opened.get(chunk);
    if (known) return known;
    const session = openChunk(model, chunk, weights, open);
    opened.set(chunk, session);
    session.catch(() => opened.delete(chunk)); // so that the next call tries again
    return session;
  }

  return {
    async run(count, feed, take) {
      let past: Record<string, HostTensor> = {};
      for (let i = 0; i < count; i++) {
        const session = await sessionOf(count === 1 ? 'alone' : i === 0 ? 'first' : 'next');
        const { output, ...rest } = await session.run({ [model.input]: feed(i), ...past });
        past = pastOf(rest);
        if (output) take(i, output);
      }
    },
    async close() {
      const sessions = await Promise.allSettled(opened.values());
      opened.clear();
      for (const session of sessions) if (session.status === 'fulfilled') await session.value.release();
    },
  };
}

function openChunk(model: ChunkModel, chunk: Chunk, weights: ParameterSource, open: OpenGraph): Promise<OpenedGraph> {
  const graph = new Graph(`${model.label}, ${chunk}`);
  graph.output('output', model.build(createParams(graph, weights), chunk));
  return open(graph, graph.name);
}
