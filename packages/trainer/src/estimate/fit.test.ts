import { expect, test } from 'vitest';

import { fitOf } from './fit.ts';

const device = { weights: 50, activations: 20, adapter: 5, batches: 5, context: 10 };

test.each([
  ['a run on the CPU that is small enough', 90, false, 100, null, true],
  ['one that is not', 91, false, 100, null, false],
  ['a run on a card that both have room for', 10, true, 100, 100, true],
  ['one that is too large for the card, whatever the machine has', 10, true, 1e6, 99, false],
  ['one that is too large for the machine, whatever the card has', 91, true, 100, 1e6, false],
  ['one on a device that does not say what it has', 10, true, 100, null, null],
  ['one on such a device that is too large for the machine', 91, true, 100, null, false],
])('%s', (_, total, isOnDevice, machineBytes, deviceBytes, fits) => {
  const found = fitOf({ total }, isOnDevice ? device : null, { machineBytes, deviceBytes });
  expect(found.fits).toBe(fits);
  expect(found.deviceBytes).toBe(isOnDevice ? 90 : null);
});
