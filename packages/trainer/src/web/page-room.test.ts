import { expect, test } from 'vitest';

import { pageRoom } from './page-room.ts';

const gibibyte = 2 ** 30;
const webGpu = { float16: false, maxBindingBytes: 2 ** 27, maxBufferBytes: 2 ** 28 };

test('the processor has what the browser tells, and no more than WebAssembly can address', () => {
  expect(pageRoom({ device: 'wasm' }, { deviceMemory: 2 })).toEqual({ totalMemoryBytes: 2 * gibibyte });
  expect(pageRoom({ device: 'wasm' }, { deviceMemory: 32 })).toEqual({ totalMemoryBytes: 4 * gibibyte });
});

test('where the browser tells nothing, 4 GiB are taken for granted', () => {
  expect(pageRoom({ device: 'wasm' }, {})).toEqual({ totalMemoryBytes: 4 * gibibyte });
  expect(pageRoom({}, {})).toEqual({ totalMemoryBytes: 4 * gibibyte });
});

test('a graphics card limits its tensors, by what a shader reaches and by what a buffer has', () => {
  const deviceMemory = 16;
  expect(pageRoom({ device: 'webgpu', webGpu }, { deviceMemory })).toEqual({
    totalMemoryBytes: 16 * gibibyte,
    largestTensorBytes: 2 ** 27,
  });
  const small = { ...webGpu, maxBufferBytes: 2 ** 26 };
  expect(pageRoom({ device: 'webgpu', webGpu: small }, { deviceMemory }).largestTensorBytes).toBe(2 ** 26);
  expect(pageRoom({ device: 'webgpu' }, { deviceMemory })).toEqual({ totalMemoryBytes: 16 * gibibyte });
});
