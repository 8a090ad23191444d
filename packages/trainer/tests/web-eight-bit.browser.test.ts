import type { Runtime } from '@musubi/runtime';

import { beforeAll, describe, expect, test } from 'vitest';

import { browserOptions, eightBitRuns, eightBitSteps } from './browser-options.ts';
import { fetchRun, sharedRuntime, trainInPage } from './train-in-page.ts';

const get = (file: string) => fetch(`/reference/eight-bit/${file}`);

const [scaled, cast, integers, plain] = eightBitRuns;

/** Of onnxruntime-web's builds the one for the CPU alone knows more number types there. */
const builds = [
  { build: '/wasm', device: 'wasm', script: 'runtime-wasm-worker', options: [scaled, integers] },
  { build: '/webgpu', device: 'wasm', script: 'runtime-worker', options: [cast, plain] },
  { build: '/webgpu', device: 'webgpu', script: 'runtime-worker', options: [scaled] },
] as const;

describe.each(builds)('a base in bfloat16, on $device of $build', ({ device, script, options }) => {
  let runtime: Runtime;
  let files: Map<string, Blob>;
  /** What Node.js makes of the same configurations, see `browser-references.ts`. */
  let expected: Record<string, readonly number[]>;

  beforeAll(async () => {
    runtime = await sharedRuntime(device, script);
    files = await fetchRun('tiny');
    files.set('dit.safetensors', await (await get('dit.safetensors')).blob());
    expected = (await (await get('losses.json')).json()) as Record<string, readonly number[]>;
  }, 600_000);

  test.each(options)(
    'with %s has the losses of Node.js',
    async (option) => {
      // in software a step on WebGPU takes seconds
      const steps = device === 'webgpu' ? 1 : eightBitSteps;
      const { losses, lines } = await trainInPage(
        files,
        runtime,
        `${browserOptions} --max_train_steps ${steps} ${option}`,
      );
      expect(losses).toHaveLength(steps);
      // Node.js, where weights may be packed, rounds activations to 8 bits too for products of integers
      const rtol = option === integers ? 1e-3 : device === 'webgpu' ? 1e-4 : 1e-5;
      expect(losses).toBeAllClose(expected[option]?.slice(0, steps) ?? [], { rtol });
      expect(lines.some((line) => /^\d+ weights in 8 bits/.test(line))).toBe(option !== plain);
    },
    600_000,
  );
});
