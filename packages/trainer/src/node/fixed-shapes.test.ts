import type { HostTensor } from '@musubi/onnx-graph';
import type { Runtime, SessionRequest } from '@musubi/runtime';

import { Graph, decodeModel, exp } from '@musubi/onnx-graph';
import { existsSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, test } from 'vitest';

import type { Closing } from './open-parts.ts';

import { watchPlacement } from './check-placement.ts';
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

const profileOf = (onCpu: boolean) => {
  const floats = [{ float: [1] }];
  const provider = onCpu ? 'CPUExecutionProvider' : 'CUDAExecutionProvider';
  const args = { op_name: 'Sign', provider, input_type_shape: floats, output_type_shape: floats };
  return JSON.stringify([{ cat: 'Node', name: 'a_kernel_time', args }]);
};

/** A runtime whose sessions leave a Sign to the CPU from the second one on. */
function leaving() {
  const profiled: string[] = [];
  const createSession = async ({ model, profileFilePrefix }: SessionRequest) => {
    const shape = decodeModel(model).inputs[0]?.shape.join('x') ?? '';
    if (profileFilePrefix) profiled.push(shape);
    const onCpu = profiled.length > 1;
    return {
      run: async () => ({}),
      endProfile: async () => {
        if (profileFilePrefix) writeFileSync(`${profileFilePrefix}_${profiled.length}.json`, profileOf(onCpu));
      },
      release: async () => {},
    };
  };
  return { profiled, runtime: { createSession } as unknown as Runtime };
}

async function openWatched(isStrict: boolean) {
  const { profiled, runtime } = leaving();
  const [closing, lines]: [Closing, string[]] = [[], []];
  const logger = (line: string) => void lines.push(line);
  const watch = await watchPlacement({ device: { provider: 'cuda', deviceId: 0 }, isStrict, logger }, closing);
  const options = { models: [{ graph: graph(), request: {} }], mostOpen: 1, watches: [watch], logger };
  const step = openFixedShapeSessions(runtime, options, closing);
  const close = async () => {
    for (const end of closing.toReversed()) await end();
  };
  return { step, profiled, lines, folder: dirname(watch.profileFilePrefix), close };
}

describe('with a device, the first step in each shape is watched', () => {
  test('and told, but not again when its session is made anew', async () => {
    const { step, profiled, lines, folder, close } = await openWatched(false);
    for (const length of [8, 16, 8, 16, 16]) await step(feeds(1, length), false);
    await close();
    expect(profiled).toEqual(['1x8x4', '1x16x4']);
    expect(lines.filter((line) => line.startsWith('a step on'))).toEqual([
      'a step on cuda: 1 nodes, 0 of shape arithmetic and no others on the CPU, 0 copies between host and device',
      'a step on cuda: 1 nodes, 0 of shape arithmetic and 1 others on the CPU, 0 copies between host and device: 1 Sign',
    ]);
    expect(existsSync(folder)).toBe(false);
  });

  test('and strict_device ends the run in a later shape', async () => {
    const { step, close } = await openWatched(true);
    await step(feeds(1, 8), false);
    await expect(step(feeds(1, 16), false)).rejects.toMatchObject({ code: 'DEVICE_LEFT' });
    await close();
  });
});
