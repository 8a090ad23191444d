import type { Runtime } from '@musubi/runtime';

import { createNodeRuntime } from '@musubi/runtime/node';
import { Graph, encodeModel, mul } from '@musubi/onnx-graph';
import { afterEach, beforeEach, expect, test } from 'vitest';

import type { Closing } from './open-parts.ts';

import { watchPlacement } from './check-placement.ts';
import { openTrainingSessions } from './training-sessions.ts';

let runtime: Runtime;
const closing: Closing = [];
beforeEach(async () => void (runtime = await createNodeRuntime()));
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
  await runtime.close();
});

/** `loss = x·x` */
function request(label: string) {
  const graph = new Graph(label);
  const x = graph.input('x', 'float32', []);
  graph.output('loss', mul(x, x));
  return { label, model: encodeModel(graph) };
}
const feeds = { x: { dtype: 'float32', shape: [], data: Float32Array.of(3) } } as const;

test('what is told of a model is of its first step, also where its session made room before that', async () => {
  const lines: string[] = [];
  const options = {
    device: { provider: 'cpu', deviceId: 0 },
    isStrict: false,
    logger: (line: string) => lines.push(line),
  } as const;
  const watches = [await watchPlacement(options, closing), await watchPlacement(options, closing)];
  const requests = [request('low noise'), request('high noise')];
  const step = await openTrainingSessions(runtime, { requests, offloadInactive: true, watches }, closing);
  // files of profiles are named by the second
  await new Promise((resolve) => setTimeout(resolve, 1100));
  for (const isHighNoise of [true, false]) expect((await step(feeds, isHighNoise))['loss']?.data[0]).toBe(9);
  const told = lines.filter((line) => line.includes(' nodes'));
  expect(told).toHaveLength(2);
  for (const line of told) expect(line).toMatch(/^a step on cpu: 1 nodes/);
});
