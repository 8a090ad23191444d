import type { Runtime, Session, SessionRequest } from '@musubi/runtime';

import { Graph, neg } from '@musubi/onnx-graph';
import { RuntimeError } from '@musubi/runtime';
import { describe, expect, test } from 'vitest';

import { openSession } from './open-session.ts';

const graph = new Graph('step');
graph.output('y', neg(graph.input('x', 'float32', [1])));

function runtimeOn(device: 'wasm' | 'webgpu', createSession: Runtime['createSession']): Runtime {
  const info = { engine: 'onnxruntime-web', version: '1.30.0', thread: 'worker', device } as const;
  return { info, createSession, close: async () => {} };
}

const base = { takeContent: () => Object.defineProperty(new Blob(), 'size', { value: 250_000_000 }) };

describe('a session in a page', () => {
  test('is given the base under the name that the graph has for it', async () => {
    const requests: SessionRequest[] = [];
    const made = {} as Session;
    const runtime = runtimeOn('wasm', async (request) => {
      requests.push(request);
      return made;
    });
    expect(await openSession(runtime, graph, 'dit.safetensors', base)).toBe(made);
    expect(Object.keys(requests[0]?.externalData ?? {})).toEqual(['dit.safetensors']);
  });

  test.each([
    ['wasm', 'there is not enough memory for base weights of 0.3 GB, and WebAssembly has 4 GiB in all.'],
    ['webgpu', 'there is not enough memory for base weights of 0.3 GB.'],
  ] as const)('says on %s that the base is too large', async (device, found) => {
    const runtime = runtimeOn(device, () => Promise.reject(new RuntimeError('OUT_OF_MEMORY', 'none.', 'Buy some.')));
    await expect(openSession(runtime, graph, 'dit.safetensors', base)).rejects.toMatchObject({
      code: 'OUT_OF_MEMORY',
      found,
      remedy: 'Use a base in 8 bits (--int8_base), another device, or @musubi/cli.',
    });
  });

  test('leaves other errors as they are', async () => {
    const error = new RuntimeError('INVALID_MODEL', 'no.', 'Report it.');
    const runtime = runtimeOn('wasm', () => Promise.reject(error));
    await expect(openSession(runtime, graph, 'dit.safetensors', base)).rejects.toBe(error);
  });
});
