import { describe, expect, test } from 'vitest';

import { planMemory } from './memory-plan.ts';
import { toSessionOptions } from './session-options.ts';

const GiB = 2 ** 30;
const model = new Uint8Array();

describe('planMemory', () => {
  test('packs float32 weights of a small model and keeps memory between runs', () => {
    const plan = planMemory({ weightBytes: GiB / 4, totalMemoryBytes: 16 * GiB });

    expect(plan).toEqual({ prepackWeights: true, arena: true, memoryPattern: false, foldConstants: true });
  });

  test('leaves weights mapped when their packed copies would take over a quarter of the memory', () => {
    const totalMemoryBytes = 16 * GiB;

    expect(planMemory({ weightBytes: 2 * GiB, totalMemoryBytes }).prepackWeights).toBe(true);
    expect(planMemory({ weightBytes: 2.1 * GiB, totalMemoryBytes }).prepackWeights).toBe(false);
    expect(planMemory({ weightBytes: 2.1 * GiB, totalMemoryBytes, usesPerWeight: 1 }).prepackWeights).toBe(true);
  });

  test('keeps memory of large models between runs too', () => {
    const plan = planMemory({ weightBytes: 20 * GiB, totalMemoryBytes: 64 * GiB });

    expect(plan).toEqual({ prepackWeights: false, arena: true, memoryPattern: false, foldConstants: true });
  });

  test('keeps narrow weights narrow and the memory for widening them', () => {
    const plan = planMemory({ weightBytes: 28 * GiB, totalMemoryBytes: 64 * GiB, narrowWeights: true, threads: 6 });

    expect(plan).toEqual({
      prepackWeights: false,
      arena: true,
      memoryPattern: false,
      foldConstants: false,
      threads: 6,
    });
  });

  test('packs 8-bit integers once, and nothing beside them, where they take a quarter of the memory', () => {
    const facts = { weightBytes: 6 * GiB, narrowWeights: true, totalMemoryBytes: 16 * GiB };

    const fits = { prepackWeights: true, arena: true, memoryPattern: false, foldConstants: false };
    expect(planMemory({ ...facts, integerBytes: 4 * GiB })).toEqual(fits);
    // once, however many products take them, which read the same codes
    expect(planMemory({ ...facts, integerBytes: 4 * GiB, usesPerWeight: 2 })).toEqual(fits);
    expect(planMemory({ ...facts, integerBytes: 4.1 * GiB })).toEqual({ ...fits, prepackWeights: false });
    expect(planMemory({ ...facts, integerBytes: 0 })).toEqual({ ...fits, prepackWeights: false });
  });
});

describe('toSessionOptions', () => {
  test('copies no weight and computes on the CPU by default', () => {
    expect(toSessionOptions({ model })).toEqual({
      executionProviders: ['cpu'],
      executionMode: 'sequential',
      graphOptimizationLevel: 'basic',
      enableCpuMemArena: true,
      enableMemPattern: false,
      logSeverityLevel: 4,
      extra: {
        session: { disable_prepacking: '1' },
        optimization: { disable_specified_optimizers: 'ConstantFolding;ReshapeFusion' },
      },
    });
  });

  test('passes what a request asks for', () => {
    const memory = { prepackWeights: true, arena: false, memoryPattern: true, foldConstants: true, threads: 3 };
    const data = new Uint8Array(4);
    const options = toSessionOptions({
      model,
      memory,
      providers: ['webgpu', 'cpu'],
      externalDataFolder: '/models',
      externalData: { 'a.bin': data },
      profileFilePrefix: 'step',
    });

    expect(options).toEqual({
      executionProviders: ['webgpu', 'cpu'],
      executionMode: 'sequential',
      graphOptimizationLevel: 'basic',
      enableCpuMemArena: false,
      enableMemPattern: true,
      intraOpNumThreads: 3,
      logSeverityLevel: 4,
      enableProfiling: true,
      profileFilePrefix: 'step',
      externalData: [{ path: 'a.bin', data }],
      extra: {
        session: { disable_prepacking: '0', model_external_initializers_file_folder_path: '/models' },
        optimization: { disable_specified_optimizers: 'ReshapeFusion' },
      },
    });
  });
});
