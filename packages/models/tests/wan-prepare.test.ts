import type { HostTensor } from '@musubi/onnx-graph';

import { Graph, createParams } from '@musubi/onnx-graph';
import { expect, test } from 'vitest';

import type { ModelBatch } from '../src/index.ts';

import { resolveWeights, wan } from '../src/index.ts';
import { checkpoint, small } from './checkpoints.ts';

const latents = (...shape: number[]): HostTensor => ({
  dtype: 'float32',
  shape,
  data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
});
const embedding = (rows: number, width = small.textWidth) => ({
  shape: [rows, width],
  data: new Float32Array(rows * width).fill(1),
});
const batch = (changes: Partial<ModelBatch> = {}): ModelBatch => ({
  noisyLatents: latents(2, 16, 3, 4, 6),
  timesteps: [1, 1000],
  text: [embedding(3), embedding(512)],
  ...changes,
});

const { config, source } = resolveWeights(checkpoint(small), wan, { modelConfig: { num_heads: small.heads } });

test('feeds are what the graph declares', () => {
  const graph = new Graph('forward');
  const { prediction } = wan.build(
    createParams(
      graph,
      source((file) => file),
    ),
    config,
  );
  const symbols = new Map<unknown, number>([
    ['B', 2],
    ['S', 18],
  ]);
  const feeds = Object.entries(wan.prepare(config, batch()));

  const declared = graph.inputs.map(({ name, dtype, shape }) => [name, dtype, shape.map((d) => symbols.get(d) ?? d)]);
  expect(feeds.map(([name, { dtype, shape }]) => [name, dtype, shape])).toEqual(declared);
  expect(prediction.shape).toEqual(['B', 'S', 64]);
});

test('every node of a block has its scope, every weight is used', () => {
  const graph = new Graph('forward');
  const { prediction } = wan.build(
    createParams(
      graph,
      source((file) => file),
    ),
    config,
  );
  const scopes = new Set(graph.nodes.map((node) => node.scope.split('/')[0]));

  expect([...scopes]).toEqual([
    'patch_embedding',
    'text_embedding',
    'time_embedding',
    'time_projection',
    'blocks.0',
    'blocks.1',
    'head',
  ]);
  expect(prediction.producer?.scope).toBe('head');
  const external = graph.initializers.filter((v) => v.kind === 'external').map((v) => v.name);
  expect(external.toSorted()).toEqual(
    wan
      .parameters(config)
      .map((p) => p.name)
      .toSorted(),
  );
});

test('text is followed by rows of zeros', () => {
  const { context } = wan.prepare(config, batch());
  const rows = Array.from({ length: 1024 }, (_, i) => context?.data[i * small.textWidth]);
  expect(rows.slice(0, 3)).toEqual([1, 1, 1]);
  expect(rows.slice(3, 512).every((x) => x === 0)).toBe(true);
  expect(rows.slice(512).every((x) => x === 1)).toBe(true);
});

test.each([
  { what: 'odd rows', changes: { noisyLatents: latents(2, 16, 3, 5, 6) }, says: 'with even H and W' },
  { what: 'four axes', changes: { noisyLatents: latents(2, 16, 4, 6) }, says: 'expected [B, C, F, H, W]' },
  { what: 'other channels', changes: { noisyLatents: latents(2, 4, 3, 4, 6) }, says: 'have 4 channels' },
  { what: 'too many rows', changes: { noisyLatents: latents(2, 16, 1, 2050, 2) }, says: '1×1025×1 tokens' },
  { what: 'too few times', changes: { timesteps: [1] }, says: 'are 1, the batch has 2 items' },
  { what: 'too few texts', changes: { text: [embedding(3)] }, says: 'are 1, the batch has 2 items' },
  {
    what: 'a long text',
    changes: { text: [embedding(3), embedding(513)] },
    says: 'is [513, 24], expected [0…512, 24]',
  },
  { what: 'a text of another encoder', changes: { text: [embedding(3, 32), embedding(1)] }, says: 'is [3, 32]' },
  {
    what: 'latents of another dtype',
    changes: { noisyLatents: { ...latents(2, 16, 3, 4, 6), data: new Uint16Array(2304) } },
    says: 'hold 2304 elements',
  },
])('$what are refused', ({ changes, says }) => {
  expect(() => wan.prepare(config, batch(changes))).toThrow(says);
  expect(() => wan.prepare(config, batch(changes))).toThrow(expect.objectContaining({ code: 'BAD_BATCH' }));
});
