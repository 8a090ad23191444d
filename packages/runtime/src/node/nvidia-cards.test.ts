import { expect, test } from 'vitest';

import { type RunProgram, cardMemory, listNvidiaCards } from './nvidia-cards.ts';

const gibibyte = 2 ** 30;
const two = [
  '0, GPU-1a2b, 550.54, 24576, 24000, NVIDIA GeForce RTX 4090\n',
  '1, GPU-1c3d, 550.54, 49140, 1024, NVIDIA RTX 6000, Ada\n',
];
const printing =
  (...lines: readonly string[]): RunProgram =>
  async (program) =>
    program === 'nvidia-smi' ? lines.join('') : null;
const nothing: RunProgram = async () => null;

test('tells the cards, with what is not known as null', async () => {
  expect(await listNvidiaCards(nothing)).toEqual([]);
  expect(await listNvidiaCards(printing('No devices were found\n'))).toEqual([]);
  expect(await listNvidiaCards(printing(two[1]!, '0, GPU-5, 580.1, [N/A], [N/A], NVIDIA GB10\r\n'))).toEqual([
    {
      index: 1,
      uuid: 'GPU-1c3d',
      name: 'NVIDIA RTX 6000, Ada',
      driver: '550.54',
      totalBytes: 49140 * 2 ** 20,
      freeBytes: gibibyte,
    },
    { index: 0, uuid: 'GPU-5', name: 'NVIDIA GB10', driver: '580.1', totalBytes: null, freeBytes: null },
  ]);
});

const inBus = { CUDA_DEVICE_ORDER: 'PCI_BUS_ID' };
const alike = [two[0]!, two[0]!.replace('0, GPU-1a2b', '1, GPU-9').replace('24000', '512')];

test.each([
  ['the first', two, 0, inBus, 'NVIDIA GeForce RTX 4090'],
  ['another', two, 1, inBus, 'NVIDIA RTX 6000, Ada'],
  ['one that is not there', two, 2, inBus, undefined],
  ['the first that is visible', two, 0, { ...inBus, CUDA_VISIBLE_DEVICES: '1' }, 'NVIDIA RTX 6000, Ada'],
  ['a visible one in another order', two, 1, { ...inBus, CUDA_VISIBLE_DEVICES: '1, 0' }, 'NVIDIA GeForce RTX 4090'],
  ['one that is left out', two, 1, { ...inBus, CUDA_VISIBLE_DEVICES: '1' }, undefined],
  ['one behind a wrong entry', two, 1, { ...inBus, CUDA_VISIBLE_DEVICES: '7,0' }, undefined],
  ['one before a wrong entry', two, 0, { ...inBus, CUDA_VISIBLE_DEVICES: '0,-1,1' }, 'NVIDIA GeForce RTX 4090'],
  ['none where all are hidden', two, 0, { ...inBus, CUDA_VISIBLE_DEVICES: '' }, undefined],
  ['one by its name', two, 0, { CUDA_VISIBLE_DEVICES: 'GPU-1c' }, 'NVIDIA RTX 6000, Ada'],
  ['none by a beginning that two share', two, 0, { CUDA_VISIBLE_DEVICES: 'GPU-1' }, undefined],
  ['none where cards differ and the fastest is the first', two, 0, {}, undefined],
  ['any where they are alike', alike, 1, {}, 'NVIDIA GeForce RTX 4090'],
  ['none without a driver', [], 0, {}, undefined],
])('of several cards it is %s', async (_, lines, deviceId, environment, name) => {
  const found = await cardMemory(deviceId, { run: printing(...lines), environment });
  expect(found?.name).toBe(name);
});

test('its memory is in bytes', async () => {
  const question = { run: printing(...alike), environment: {} };
  expect(await cardMemory(1, question)).toEqual({
    name: 'NVIDIA GeForce RTX 4090',
    totalBytes: 24 * gibibyte,
    freeBytes: gibibyte / 2,
  });
  const silent = printing('0, GPU-5, 580.1, [N/A], [N/A], NVIDIA GB10\n');
  expect(await cardMemory(0, { run: silent, environment: {} })).toBeNull();
});

test('of this machine it is a number of bytes or null', async () => {
  const found = await cardMemory();
  expect(found === null || found.totalBytes >= (found.freeBytes ?? 0)).toBe(true);
});
