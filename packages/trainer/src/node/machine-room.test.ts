import { machineMemory } from '@musubi/runtime/node';
import { expect, test } from 'vitest';

import { machineRoom } from './machine-room.ts';

test('scores have the memory of the machine, on WebGPU in tensors of 256 MiB', () => {
  const totalMemoryBytes = machineMemory();
  expect(machineRoom({ provider: 'cpu' })).toEqual({ totalMemoryBytes });
  expect(machineRoom({ provider: 'cuda' })).toEqual({ totalMemoryBytes });
  expect(machineRoom({ provider: 'webgpu' })).toEqual({ totalMemoryBytes, largestTensorBytes: 2 ** 28 });
});
