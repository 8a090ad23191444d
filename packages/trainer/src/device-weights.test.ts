import type { Runtime } from '@musubi/runtime';

import { createNodeRuntime } from '@musubi/runtime/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { faults, play, scenarios } from '../tests/device-scenarios.ts';
import { expectSame } from '../tests/expect-same.ts';
import { pretendDevice } from '../tests/pretend-device.ts';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await createNodeRuntime();
});
afterAll(() => runtime?.close());

// One rounding more or less than the loop on arrays.
const tolerance = { rtol: 1e-6, atol: 1e-7 };

describe.each(scenarios)('AdamW on a device with $what', (scenario) => {
  test('does what it does on the host, and leaves nothing there', async () => {
    const device = pretendDevice(runtime);
    let leftAtEnd = 0;
    const atEnd = () => (leftAtEnd = device.live);
    expectSame(await play(scenario, device.runtime, { atEnd }), await play(scenario, null), tolerance);
    const { modules = 1, joins = false } = scenario;
    // the weights of each matrix, and both moments of each, or of all down and of all up
    expect(leftAtEnd).toBe(2 * modules + (joins ? 4 : 4 * modules));
    expect(device.live).toBe(0);
  });
});

describe.each(faults)('$what that is no finite number', ({ code, ...scenario }) => {
  test('ends the run as on the host, with the weights that last gave a finite loss', async () => {
    const device = pretendDevice(runtime);
    const [onDevice, onHost] = [await play(scenario, device.runtime), await play(scenario, null)];
    expect(onHost.outcome).toMatchObject({ code });
    expectSame(onDevice, onHost, tolerance);
    expect(onDevice.weights.every(Number.isFinite)).toBe(true);
    expect(device.live).toBe(0);
  });
});

test.each([false, true])(
  'an optimizer that has stepped before goes on from there, matrices as one: %s',
  async (joins) => {
    const scenario = { what: '', stepsBefore: 3, modules: 3, joins, rates: [null, 1e-2] };
    const device = pretendDevice(runtime);
    const [onDevice, onHost] = [await play(scenario, device.runtime), await play(scenario, null)];
    expectSame(onDevice, onHost, tolerance);
    expect(onDevice.state.numbers).toEqual({ step: 9 });
    // the first step alone shows it, whatever follows
    expect(onHost.saved[0]).not.toEqual((await play({ ...scenario, stepsBefore: 0 }, null)).saved[0]);
  },
);

test('of a step only numbers cross, and the weights when they are saved', async () => {
  const device = pretendDevice(runtime);
  const crossed: number[] = [];
  const afterBatch = () => crossed.push(device.takeCrossed());
  const { calls } = await play({ what: '', maxGradNorm: 1, maxTrainSteps: 4 }, device.runtime, { afterBatch });
  expect(calls).toEqual(['step 2', 'step 4', 'end of 1 at 4']);
  const weights = 4 * (6 + 8);
  // its targets and two numbers
  const batch = weights + 4 * 2;
  // loss, norm, sum of the weights; scale, smallest divisor; rate and decay of each group
  const step = 4 * (3 + 2 + 2 * 2);
  // at first the weights for the batch and for the step, and zeros for both moments
  const more = [4 * weights, weights, 0, weights];
  expect(crossed).toEqual(more.map((bytes) => batch + step + bytes));
});
