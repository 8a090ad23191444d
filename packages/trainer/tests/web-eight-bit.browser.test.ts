import { describe, expect, test } from 'vitest';

import { browserOptions, eightBitRuns, eightBitSteps } from './browser-options.ts';
import { fetchRun, trainInPage } from './train-in-page.ts';

const get = (file: string) => fetch(`/reference/eight-bit/${file}`);

/** What Node.js makes of the same configurations, see `eight-bit-reference.ts`. */
async function fetchLosses(): Promise<Record<string, readonly number[]>> {
  return (await (await get('losses.json')).json()) as Record<string, readonly number[]>;
}

const builds = {
  cpu: { device: 'wasm', script: 'runtime-wasm-worker', steps: eightBitSteps, rtol: 1e-5 },
  'both on the CPU': { device: 'wasm', script: 'runtime-worker', steps: eightBitSteps, rtol: 1e-5 },
  // in software a step takes seconds
  'both on WebGPU': { device: 'webgpu', script: 'runtime-worker', steps: 1, rtol: 1e-4 },
} as const;

const cases = eightBitRuns.flatMap(({ options, builds: names }) => names.map((build) => ({ options, build })));

describe('a base that gets 8 bits in the page', () => {
  test.each(cases)(
    '$options, $build, has the losses of Node.js',
    async ({ options, build }) => {
      const files = await fetchRun('tiny');
      files.set('dit.safetensors', await (await get('dit.safetensors')).blob());
      const { device, script, steps, rtol } = builds[build];
      const given = `${browserOptions} --max_train_steps ${steps} ${options}`;
      const { losses, lines } = await trainInPage(files, device, given, script);
      const { [options]: expected = [] } = await fetchLosses();
      expect(losses).toHaveLength(steps);
      // Node.js, where weights may be packed, rounds activations to 8 bits too for products of integers
      expect(losses).toBeAllClose(expected.slice(0, steps), { rtol: options.includes('int8') ? 1e-3 : rtol });
      expect(lines.join('\n')).toMatch(/\d+ weights in 8 bits/);
    },
    600_000,
  );

  test('may be in bfloat16 where it gets none', async () => {
    const files = await fetchRun('tiny');
    files.set('dit.safetensors', await (await get('dit.safetensors')).blob());
    const given = `${browserOptions} --max_train_steps 2`;
    const [kept, widened] = [
      await trainInPage(files, 'wasm', given, 'runtime-wasm-worker'),
      await trainInPage(files, 'wasm', given, 'runtime-worker'),
    ];
    expect(widened.losses).toHaveLength(2);
    expect(widened.losses).toBeAllClose(kept.losses, { rtol: 1e-5 });
  }, 600_000);
});
