import { totalmem } from 'node:os';

import { expect, test } from 'vitest';

import { machineMemory } from './machine-memory.ts';

const gigabyte = 2 ** 30;

test.each([
  ['the limit of a container', 4 * gigabyte, 4 * gigabyte],
  ['all of it where none is known', undefined, 16 * gigabyte],
  ['all of it where there is none', 0, 16 * gigabyte],
  ['all of it where the limit is the largest number', 2 ** 64, 16 * gigabyte],
  ['all of it where the limit is above it', 32 * gigabyte, 16 * gigabyte],
])('is %s', (_, limit, expected) => {
  expect(machineMemory(limit ?? 0, 16 * gigabyte)).toBe(expected);
});

test('of this machine it is at most what the system has', () => {
  expect(machineMemory()).toBeGreaterThan(0);
  expect(machineMemory()).toBeLessThanOrEqual(totalmem());
});
