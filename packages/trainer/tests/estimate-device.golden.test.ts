import { cp, readFile, rename } from 'node:fs/promises';

import type { Runtime } from '@musubi/runtime';

import { resolveOptions } from '@musubi/config';
import { createNodeRuntime } from '@musubi/runtime/node';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';

import { type DeviceEstimate, type EstimatedMachine, type RunEstimate, estimateRun } from '../src/node.ts';
import { type RunFolder, openRunFolder, rewriteTensors, wanRuns } from './run-folder.ts';

const GiB = 2 ** 30;
const card = { name: 'a pretended card', totalBytes: 24 * GiB, freeBytes: 20 * GiB };

/** Passes for a machine with a graphics device; nothing is computed there. */
const machineWith = (
  provider: 'cpu' | 'cuda' | 'webgpu',
  changes: Partial<EstimatedMachine> = {},
): Partial<EstimatedMachine> => ({
  chooseDevice: async () => ({ provider, deviceId: 0 }),
  tryProducts: () => async () => ({ state: 'works', reason: null }),
  askCard: async () => (provider === 'cuda' ? card : null),
  probeDevice: async () => ({
    products: [{ product: { batch: 1, m: 64, k: 64, n: 64 }, flopsPerSecond: 1e12 }],
    secondsPerByte: { arithmetic: 1e-12, function: 1e-12, softmax: 1e-12, transpose: 1e-12, dequantize: 1e-12 },
  }),
  ...changes,
});

// The first is enough to see what is said of others; each takes as long as the run itself to plan.
vi.mock('../src/node/estimate/other-settings.ts', async (load) => {
  const original = await load<typeof import('../src/node/estimate/other-settings.ts')>();
  const otherSettings: typeof original.otherSettings = (...given) => original.otherSettings(...given).slice(0, 1);
  return { ...original, otherSettings };
});

const withCard = (totalBytes: number) => machineWith('cuda', { askCard: async () => ({ ...card, totalBytes }) });

async function checkpointIn(dtype: 'BF16' | 'F16'): Promise<void> {
  await rewriteTensors('dit.safetensors', 'new.safetensors', (tensor) => ({ ...tensor, dtype }));
  await rename('new.safetensors', 'dit.safetensors');
}

const refusesProducts: EstimatedMachine['tryProducts'] = () => async () => ({
  state: 'fails',
  reason: 'no such kernel',
});

describe.each(wanRuns)('%s on a device', (name) => {
  let folder: RunFolder;
  let runtime: Runtime;
  beforeAll(async () => {
    runtime = await createNodeRuntime();
  });
  afterAll(() => runtime.close());
  beforeEach(async () => {
    folder = await openRunFolder(name, 'musubi-estimate-');
  });
  afterEach(() => folder.close());

  async function estimated(
    options: string,
    machine: Partial<EstimatedMachine>,
    logger: (line: string) => void = () => {},
  ): Promise<RunEstimate> {
    const argv = ['--config_file', 'config.toml', ...options.split(' ').filter((word) => word !== '')];
    const { config } = await resolveOptions({ command: 'train', argv, readText: (file) => readFile(file, 'utf8') });
    return estimateRun(config, { runtime, machine, logger });
  }
  const onDevice = async (...given: Parameters<typeof estimated>): Promise<DeviceEstimate> => {
    const { device } = await estimated(...given);
    if (device === null) throw new Error('no device');
    return device;
  };
  test('what is computed with lies on the card, the rest on the machine', async () => {
    const lines: Record<'cpu' | 'cuda', string[]> = { cpu: [], cuda: [] };
    const on = (provider: 'cpu' | 'cuda') => estimated('', machineWith(provider), (line) => lines[provider].push(line));
    const [onCpu, onCard] = [await on('cpu'), await on('cuda')];
    expect(lines.cpu.join('\n')).not.toContain('crosses to the device');
    expect(lines.cuda.join('\n')).toContain('The time of a step leaves out what crosses to the device and back');
    expect(onCpu.device).toBeNull();
    const { device, memory, model } = onCard;
    expect(device).toMatchObject({ provider: 'cuda', name: card.name, memoryBytes: 24 * GiB, freeBytes: 20 * GiB });
    expect(Object.values(device!.memory).reduce((sum, bytes) => sum + bytes, 0)).toBe(device!.neededBytes);
    expect(device!.memory.adapter).toBe(4 * model.adapterParameters);
    expect(device!.memory.activations).toBeGreaterThanOrEqual(onCard.buckets[0]!.activationBytes);
    expect(memory.activations).toBe(0);
    for (const part of ['batches', 'adapter', 'gradients', 'optimizerState'] as const) {
      expect(memory[part]).toBe(onCpu.memory[part]);
    }
    expect(onCard.alternatives.every(({ deviceBytes }) => (deviceBytes ?? 0) > 0)).toBe(true);
    expect(onCpu.alternatives.every(({ deviceBytes }) => deviceBytes === null)).toBe(true);
  });

  test('it has to fit onto the card, whatever the machine has', async () => {
    const needed = (await onDevice('', machineWith('cuda'))).neededBytes;
    const large = await estimated('', withCard(Math.ceil(needed / 0.9)));
    expect([large.device?.fits, large.fits]).toEqual([true, true]);
    const small = await estimated('', withCard(Math.floor(needed / 0.9) - 1));
    expect([small.machine.fits, small.device?.fits, small.fits]).toEqual([true, false, false]);
    expect((await estimated('', withCard(1))).alternatives.map(({ fits }) => fits)).toEqual([false]);
  });

  test('nor does it fit onto the card alone', async () => {
    const found = await estimated('', machineWith('cuda', { memoryBytes: () => 1 }));
    expect([found.machine.fits, found.device?.fits, found.fits]).toEqual([false, true, false]);
  });

  test('what is not known to fit is not said to', async () => {
    for (const machine of [machineWith('webgpu'), machineWith('cuda', { askCard: async () => null })]) {
      const found = await estimated('', machine);
      expect([found.machine.fits, found.device?.fits, found.fits]).toEqual([true, null, null]);
      expect(found.device?.memoryBytes).toBeNull();
      expect(new Set(found.alternatives.map(({ fits }) => fits))).toEqual(new Set([null]));
    }
  });

  test('weights lie on CUDA as in the checkpoint, on WebGPU as float32', async () => {
    const [wide, web] = [await onDevice('', machineWith('cuda')), await onDevice('', machineWith('webgpu'))];
    await checkpointIn('BF16');
    const narrow = await estimated('', machineWith('cuda'));
    expect(narrow.device!.memory.weights / wide.memory.weights).toBeCloseTo(0.5, 2);
    expect(narrow.memory.packedWeights).toBe(0);
    const widened = await estimated('', machineWith('webgpu'));
    expect(widened.device!.memory.weights).toBe(web.memory.weights);
    expect(widened.device!.memory.weights).toBeGreaterThan(wide.memory.weights);
    // made on the host while the graph is loaded
    expect(widened.memory.packedWeights / widened.device!.memory.weights).toBeCloseTo(1, 2);
  });

  test('weights in 8 bits stay in 8 bits; integers that a product takes as they are lie there for both passes', async () => {
    await checkpointIn('BF16');
    for (const provider of ['cuda', 'webgpu'] as const) {
      const ratio = async (options: string) => {
        const { device, model, memory } = await estimated(options, machineWith(provider));
        expect(memory.packedWeights).toBe(0);
        return device!.memory.weights / model.weightBytes;
      };
      expect(await ratio('--fp8_base --fp8_scaled')).toBeCloseTo(1, 1);
      const ofIntegers = await ratio('--int8_base');
      expect(ofIntegers).toBeGreaterThanOrEqual(1);
      expect(ofIntegers).toBeLessThan(2);
    }
  });

  test.each(['--int8_base', '--fp8_base --fp8_scaled'])(
    '%s has scales in float32 where bfloat16 is not known, as the run makes them',
    async (options) => {
      await checkpointIn('BF16');
      const bytes = async (provider: 'cpu' | 'cuda' | 'webgpu') =>
        (await estimated(options, machineWith(provider))).model.fileBytes;
      expect(await bytes('cuda')).toBe(await bytes('cpu'));
      expect(await bytes('webgpu')).toBeGreaterThan(await bytes('cpu'));
    },
  );

  test('two models have their weights there, unless the one not in use is released', async () => {
    await cp('dit.safetensors', 'high.safetensors');
    const two = '--dit_high_noise high.safetensors --timestep_boundary 0.875';
    const one = await onDevice('', machineWith('cuda'));
    const both = await onDevice(two, machineWith('cuda'));
    const offloaded = await onDevice(`${two} --offload_inactive_dit`, machineWith('cuda'));
    for (const part of ['weights', 'activations', 'adapter', 'batches'] as const) {
      expect(both.memory[part]).toBe(2 * one.memory[part]);
      expect(offloaded.memory[part]).toBe(one.memory[part]);
    }
    expect(both.memory.context).toBe(one.memory.context);
    const fixed = await onDevice(`${two} --compile --compile_dynamic false`, machineWith('cuda'));
    expect(fixed.memory.weights).toBe(one.memory.weights);
  });

  test('attention is planned by the memory of the card', async () => {
    const [roomy, tight] = [24 * GiB, 1e5].map((bytes) => estimated('--attn_chunk 8', withCard(bytes)));
    // in pieces all scores are computed once more
    expect((await tight)!.buckets[0]!.flops).toBeGreaterThan((await roomy)!.buckets[0]!.flops);
  });

  describe('--mixed_precision', () => {
    test('is that of the graph, and what is measured', async () => {
      const probeDevice = vi.fn<EstimatedMachine['probeDevice']>(machineWith('cuda').probeDevice!);
      const lines: string[] = [];
      const machine = machineWith('cuda', { probeDevice });
      const plain = await onDevice('', machine);
      const mixed = await onDevice('--mixed_precision bf16', machine, (line) => lines.push(line));
      expect(lines).toContain('mixed_precision bf16: matrix products in bfloat16, all else in float32.');
      expect(mixed.memory.activations).not.toBe(plain.memory.activations);
      const types = probeDevice.mock.calls.map(
        ([, work]) => new Set(work.flatMap(({ products }) => products.map(({ dtype }) => dtype))),
      );
      expect(types).toEqual([new Set([undefined]), new Set([undefined, 'bfloat16'])]);
    });

    test('is not taken where it does not work', async () => {
      const lines: string[] = [];
      const plain = await onDevice('', machineWith('cuda'));
      const machine = machineWith('cuda', { tryProducts: refusesProducts });
      const mixed = await onDevice('--mixed_precision fp16', machine, (line) => lines.push(line));
      expect(mixed).toEqual(plain);
      expect(lines.join('\n')).toContain('no such kernel');
    });
  });
});
