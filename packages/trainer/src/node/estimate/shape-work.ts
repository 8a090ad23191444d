import type { WanConfig } from '@musubi/models';
import type { Graph, HostTensor } from '@musubi/onnx-graph';

import { wan } from '@musubi/models';
import { type NodeWork, graphWork } from '@musubi/onnx-graph/analysis';

import { bindSymbols } from '../../estimate/bind-symbols.ts';
import type { BatchShape } from './batch-shapes.ts';

/** What a graph has to do for batches of one size. */
export interface ShapeWork {
  readonly shape: BatchShape;
  readonly symbols: ReadonlyMap<string, number>;
  readonly work: readonly NodeWork[];
}

export const workOf = (graph: Graph, config: WanConfig, shapes: readonly BatchShape[]): ShapeWork[] =>
  shapes.map((shape) => {
    const symbols = bindSymbols(graph, emptyFeeds(config, shape));
    return { shape, symbols, work: graphWork(graph, symbols) };
  });

export const flopsOf = (work: readonly NodeWork[]): number => work.reduce((sum, { flops }) => sum + flops, 0);

/** Of the batches with most work. */
export function largest(shapes: readonly ShapeWork[]): readonly NodeWork[] {
  return shapes.map(({ work }) => work).toSorted((a, b) => flopsOf(b) - flopsOf(a))[0] ?? [];
}

/** Pixels that one number of the latents stands for along a side, and frames along time. */
const [pixelsPerLatent, framesPerLatent] = [8, 4];

/** Feeds of the right shapes, without contents. */
function emptyFeeds(config: WanConfig, shape: BatchShape): Record<string, Pick<HostTensor, 'shape'>> {
  const { batchSize } = shape;
  const [frames, height, width] = [
    Math.floor((shape.frames - 1) / framesPerLatent) + 1,
    Math.floor(shape.height / pixelsPerLatent),
    Math.floor(shape.width / pixelsPerLatent),
  ];
  const latents = [batchSize, config.channels, frames, height, width];
  const noisyLatents = {
    dtype: 'float32',
    shape: latents,
    data: new Float32Array(latents.reduce((a, b) => a * b)),
  } as const;
  const text = Array.from({ length: batchSize }, () => ({ shape: [0, config.textWidth], data: new Float32Array() }));
  const feeds = wan.prepare(config, { noisyLatents, timesteps: new Float32Array(batchSize), text });
  return { ...feeds, target: noisyTarget(feeds), loss_weight: { shape: [batchSize, 1, 1] } };
}

const noisyTarget = (feeds: Readonly<Record<string, Pick<HostTensor, 'shape'>>>): Pick<HostTensor, 'shape'> =>
  feeds['tokens'] ?? { shape: [] };
