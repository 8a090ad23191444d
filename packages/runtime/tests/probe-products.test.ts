import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import type { Runtime, WebGpuFeatures } from '../src/index.ts';

import { probeProducts } from '../src/index.ts';
import { createNodeRuntime } from '../src/node.ts';

const features: WebGpuFeatures = { float16: true, maxBindingBytes: 2 ** 27, maxBufferBytes: 2 ** 28 };
const session = (value: number) => ({
  inputNames: ['x'],
  outputNames: ['y'],
  run: async () => ({ y: { dtype: 'float32' as const, shape: [4, 6], data: new Float32Array(24).fill(value) } }),
  endProfile: async () => {},
  runOnDevice: () => Promise.reject(new Error('nothing stays')),
  release: vi.fn(async () => {}),
});
const on = (webGpu: WebGpuFeatures, createSession: Runtime['createSession']): Runtime => ({
  info: { engine: 'fake', version: '1', thread: 'caller', device: 'webgpu', webGpu },
  createSession,
  close: async () => {},
});

describe('on the CPU', () => {
  let runtime: Runtime;
  beforeAll(async () => {
    runtime = await createNodeRuntime();
  });
  afterAll(() => runtime.close());

  test.each(['float32', 'float16'] as const)('%s works', async (products) => {
    expect(await probeProducts(runtime, products)).toEqual({ state: 'works', reason: null });
  });

  test('bfloat16 fails, and one line says why', async () => {
    const { state, reason } = await probeProducts(runtime, 'bfloat16');
    expect(state).toBe('fails');
    expect(reason).toMatch(/^[^\n]*MatMul[^\n]*$/);
  });
});

describe('on WebGPU', () => {
  test('a card without 16-bit floats is not tried with float16', async () => {
    const createSession = vi.fn();
    const probe = await probeProducts(on({ ...features, float16: false }, createSession), 'float16');
    expect(probe).toEqual({ state: 'fails', reason: expect.stringContaining('shader-f16') });
    expect(createSession).not.toHaveBeenCalled();
  });

  test('wrong numbers are found, and nothing may run on the CPU', async () => {
    const opened = session(0.5);
    const createSession = vi.fn(async () => opened);
    expect(await probeProducts(on(features, createSession), 'float16')).toEqual({
      state: 'differs',
      reason: expect.stringMatching(/off by 0\.\d+/),
    });
    expect(createSession).toHaveBeenCalledWith(expect.objectContaining({ onDeviceOnly: true }));
    expect(opened.release).toHaveBeenCalledOnce();
  });

  test('a session that cannot be made fails with the first line of its error', async () => {
    const probe = await probeProducts(
      on(features, async () => Promise.reject(new Error('no device\nat line 2'))),
      'float16',
    );
    expect(probe).toEqual({ state: 'fails', reason: 'no device' });
  });
});
