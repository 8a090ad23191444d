import type { Runtime } from '@musubi/runtime';

import { beforeAll, describe, expect, test } from 'vitest';

import { faults, play, scenarios } from './device-scenarios.ts';
import { expectSame } from './expect-same.ts';
import { sharedRuntime } from './train-in-page.ts';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await sharedRuntime('webgpu');
}, 600_000);

// Roots and quotients of WebGPU are right within 2.5 units of the last place (WGSL, §15.7.4).
const tolerance = { rtol: 5e-6, atol: 1e-6 };

describe.each(scenarios)('AdamW on WebGPU with $what', (scenario) => {
  test('does what it does on the host', async () => {
    expectSame(await play(scenario, runtime), await play(scenario, null), tolerance);
  }, 600_000);
});

describe.each(faults)('$what that is no finite number', ({ code, ...scenario }) => {
  test('ends the run as on the host, with the weights that last gave a finite loss', async () => {
    const [onDevice, onHost] = [await play(scenario, runtime), await play(scenario, null)];
    expect(onHost.outcome).toMatchObject({ code });
    expectSame(onDevice, onHost, tolerance);
    expect(onDevice.weights.every(Number.isFinite)).toBe(true);
  }, 600_000);
});
