import { machineMemory } from '@musubi/runtime/node';
import { expect, test, vi } from 'vitest';

import { askCard, machineRoom } from './machine-room.ts';

test('scores have the memory of the machine, on WebGPU in tensors of 256 MiB', () => {
  const totalMemoryBytes = machineMemory();
  expect(machineRoom({ provider: 'cpu' }, null)).toEqual({ totalMemoryBytes });
  expect(machineRoom({ provider: 'cuda' }, null)).toEqual({ totalMemoryBytes });
  expect(machineRoom({ provider: 'webgpu' }, null)).toEqual({ totalMemoryBytes, largestTensorBytes: 2 ** 28 });
});

test('where the card says what it has, scores have that', () => {
  expect(machineRoom({ provider: 'cuda' }, { totalBytes: 24e9 })).toEqual({ totalMemoryBytes: 24e9, isOfCard: true });
});

test('only a card of CUDA is asked, by its number', async () => {
  const card = { name: 'a card', totalBytes: 24e9, freeBytes: 20e9 };
  const ask = vi.fn(async () => card);
  for (const provider of ['cpu', 'webgpu', 'dml', 'coreml'] as const) {
    expect(await askCard({ provider, deviceId: 1 }, ask)).toBeNull();
  }
  expect(ask).not.toHaveBeenCalled();
  expect(await askCard({ provider: 'cuda', deviceId: 1 }, ask)).toBe(card);
  expect(ask).toHaveBeenCalledWith(1);
});
