import type { HostTensor } from '@musubi/onnx-graph';
import type { Runtime, SessionRequest } from '@musubi/runtime';

import { Graph, decodeModel, exp } from '@musubi/onnx-graph';
import { expect, test } from 'vitest';

import type { Closing } from './open-parts.ts';

import { openFixedShapeSessions } from './fixed-shapes.ts';

function graph(): Graph {
  const made = new Graph('g');
  made.output('y', exp(made.input('x', 'float32', ['B', 'S', 4])));
  return made;
}

/** A runtime that notes what is opened and released. */
function recording() {
  const [events, requests]: [string[], SessionRequest[]] = [[], []];
  const createSession = async (request: SessionRequest) => {
    const shape = decodeModel(request.model).inputs[0]?.shape.join('x') ?? '';
    events.push(`open ${request.label} ${shape}`);
    requests.push(request);
    return {
      inputNames: ['x'],
      outputNames: ['y'],
      run: async () => ({}),
      endProfile: async () => {},
      release: async () => void events.push(`release ${request.label} ${shape}`),
    };
  };
  return { events, requests, runtime: { createSession } as unknown as Runtime };
}

const feeds = (b: number, s: number): Record<string, HostTensor> => ({
  x: { dtype: 'float32', shape: [b, s, 4], data: new Float32Array(b * s * 4) },
});

test('each model and shape has a session, made once; the one not used for longest makes room', async () => {
  const { events, runtime } = recording();
  const closing: Closing = [];
  const lines: string[] = [];
  const models = ['low', 'high'].map((label) => ({ graph: graph(), request: { label } }));
  const step = openFixedShapeSessions(runtime, { models, mostOpen: 2, logger: (line) => lines.push(line) }, closing);

  await step(feeds(1, 8), false);
  await step(feeds(2, 8), false);
  await step(feeds(1, 8), false);
  await step(feeds(1, 8), true);
  await step(feeds(2, 8), false);
  for (const close of closing) await close();

  expect(events).toEqual([
    'open low 1x8x4',
    'open low 2x8x4',
    'release low 2x8x4',
    'open high 1x8x4',
    'release low 1x8x4',
    'open low 2x8x4',
    'release high 1x8x4',
    'release low 2x8x4',
  ]);
  expect(lines).toEqual([
    'graph of fixed shapes for B 1, S 8',
    'graph of fixed shapes for B 2, S 8',
    'graph of fixed shapes for high noise, B 1, S 8',
  ]);
});

test('sessions at rest keep no memory for steps where there are several', async () => {
  const memory = { prepackWeights: false, arena: true, memoryPattern: false, foldConstants: false };
  for (const [mostOpen, arena] of [
    [1, true],
    [4, false],
  ] as const) {
    const { requests, runtime } = recording();
    const models = [{ graph: graph(), request: { memory } }];
    await openFixedShapeSessions(runtime, { models, mostOpen, logger: () => {} }, [])(feeds(1, 8), false);
    expect(requests[0]?.memory).toEqual({ ...memory, arena });
  }
});
