import { cp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { TensorStore } from '@musubi/safetensors';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';

import type { HostTensor } from '@musubi/onnx-graph';
import type { Runtime } from '@musubi/runtime';

import { resolveOptions } from '@musubi/config';
import { createNodeRuntime } from '@musubi/runtime/node';
import { openSafetensorsFile } from '@musubi/safetensors/node';

import { isDefaultGolden } from '../../../tests/golden.ts';
import { estimateRun } from '../src/node.ts';
import { type RunFolder, openRunFolder, short, wanRuns } from './run-folder.ts';

const readWeights = vi.hoisted(() => vi.fn<(file: string) => void>());
const opened = vi.hoisted(() => vi.fn<(file: string) => void>());
vi.mock('@musubi/safetensors/node', async (load) => {
  const original = await load<{ openCheckpointFile(path: string): Promise<TensorStore> }>();
  return {
    ...original,
    async openCheckpointFile(path: string): Promise<TensorStore> {
      opened(path);
      const store = await original.openCheckpointFile(path);
      const watch = (name: PropertyKey) => typeof name === 'string' && name.startsWith('read') && readWeights(path);
      return new Proxy(store, {
        get(target, name) {
          watch(name);
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
        },
      });
    },
  };
});

// All runs here are of small models on the same device, which is measured once.
vi.mock('../src/node/estimate/probe-device.ts', async (load) => {
  const original = await load<typeof import('../src/node/estimate/probe-device.ts')>();
  let speed: ReturnType<typeof original.probeDevice> | undefined;
  return {
    ...original,
    probeDevice: (...call: Parameters<typeof original.probeDevice>) => (speed ??= original.probeDevice(...call)),
  };
});

test('the golden vectors have runs', () => {
  if (isDefaultGolden) expect(wanRuns.length).toBeGreaterThan(0);
});

const read = (options: string[] = []) =>
  resolveOptions({
    command: 'train',
    argv: ['--config_file', 'config.toml', ...options],
    readText: (file) => readFile(file, 'utf8'),
  });

describe.each(wanRuns)('%s', (name) => {
  let folder: RunFolder;
  let runtime: Runtime;
  beforeAll(async () => {
    runtime = await createNodeRuntime();
  });
  afterAll(() => runtime.close());
  beforeEach(async () => {
    folder = await openRunFolder(name, 'musubi-estimate-');
    readWeights.mockClear();
  });
  afterEach(async () => {
    await folder.close();
  });

  const estimated = async (options: string[]) => estimateRun((await read(options)).config, { runtime });

  test('tells memory and time by the caches, and reads no weight', async () => {
    const { config } = await read();
    const found = await estimateRun(config, { runtime });
    expect(opened).toHaveBeenCalledWith('dit.safetensors');
    expect(readWeights).not.toHaveBeenCalled();
    expect(found.source).toBe('caches');
    expect(found.fits).toBe(true);
    const { total, ...parts } = found.memory;
    expect(total).toBe(Object.values(parts).reduce((a, b) => a + b, 0));
    expect(parts.activations).toBeGreaterThanOrEqual(Math.max(...found.buckets.map((b) => b.activationBytes)));
    expect(parts.optimizerState).toBeGreaterThan(0);
    expect(found.secondsPerStep).toBeGreaterThan(0);
    expect(found.secondsOfRun).toBeCloseTo(found.steps * found.secondsPerStep, 9);
    expect(found.buckets.length).toBeGreaterThan(0);
    for (const { lengths, width, height, frames, batchSize, flops } of found.buckets) {
      const latentFrames = Math.floor((frames - 1) / 4) + 1;
      expect(lengths).toEqual({ B: batchSize, S: latentFrames * (width / 16) * (height / 16) });
      expect(flops).toBeGreaterThan(0);
    }
    expect(found.alternatives.length).toBeGreaterThan(1);
  });

  test('the lengths are those of the batches that the run feeds', async () => {
    const fed = new Set<string>();
    const watching: Runtime = {
      ...runtime,
      async createSession(request) {
        const session = await runtime.createSession(request);
        return {
          ...session,
          run(feeds: Readonly<Record<string, HostTensor>>, outputs) {
            fed.add((feeds['tokens']?.shape ?? []).slice(0, 2).join());
            return session.run(feeds, outputs);
          },
        };
      },
    };
    const epoch = await folder.run('--max_train_epochs 1', { runtime: watching });
    const { buckets } = await estimateRun(epoch.config, { runtime });
    expect(new Set(buckets.map(({ lengths }) => `${lengths['B']},${lengths['S']}`))).toEqual(fed);
  });

  test('checkpointing takes less memory for activations and more work', async () => {
    const plain = await estimateRun((await read()).config, { runtime });
    const again = await estimateRun((await read(['--gradient_checkpointing'])).config, { runtime });
    const work = (found: typeof plain) => found.buckets.reduce((sum, { flops }) => sum + flops, 0);
    const kept = (found: typeof plain) => Math.max(...found.buckets.map((b) => b.activationBytes));
    expect(work(again)).toBeGreaterThan(1.1 * work(plain));
    expect(kept(again)).toBeLessThan(kept(plain));
  });

  test('a file that is not there is named with its option', async () => {
    const { config } = await read(['--dit', 'absent.safetensors']);
    await expect(estimateRun(config, { runtime })).rejects.toMatchObject({
      code: 'FILE_UNUSABLE',
      facts: { option: 'dit' },
    });
  });

  test.each([
    ['--int8_base', 'int8'],
    ['--fp8_base --fp8_scaled', 'fp8-e4m3'],
    ['--fp8_base', 'fp8-e4m3'],
  ])('%s is planned as the run makes it, without a weight read or a file written', async (options, label) => {
    const { config } = await read(options.split(' '));
    const { model, alternatives, memory } = await estimateRun(config, { runtime });
    expect(readWeights).not.toHaveBeenCalled();
    expect((await readdir('.')).filter((file) => file.includes(label))).toEqual([]);
    expect(memory.total).toBeGreaterThan(0);
    expect(alternatives.map(({ change }) => change).join('; ')).toContain('base weights as in the checkpoint');

    await folder.run(`${short(1)} ${options}`, { runtime });
    const file = (await readdir('.')).find((entry) => entry.includes(label));
    const store = await openSafetensorsFile(file ?? '');
    await store.close();
    const bytes = [...store.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect(model.fileBytes).toBe(bytes);
    expect(model.weightBytes).toBe(bytes);
  });

  test('8-bit bases are among the alternatives, with their size on disk', async () => {
    const found = await estimateRun((await read()).config, { runtime });
    expect(found.model.fileBytes).toBe(0);
    for (const option of ['int8_base = true', 'fp8_base = true']) {
      const other = found.alternatives.find(({ change }) => change.startsWith(option));
      expect(other?.fileBytes).toBeGreaterThan(0);
      expect(other?.weightBytes).toBeLessThan(found.model.weightBytes);
    }
  });

  test.each([[['--int8_base']], [['--fp8_base', '--fp8_scaled']], [['--fp8_base']]])(
    '%s has the same work and less to map, and no file is made',
    async (options) => {
      const before = await readdir('.');
      const plain = await estimateRun((await read()).config, { runtime });
      const found = await estimateRun((await read(options)).config, { runtime });
      expect(found.model.weightBytes).toBeLessThan(plain.model.weightBytes);
      found.buckets.forEach((bucket, i) => {
        expect(bucket.flops / plain.buckets[i]!.flops).toBeGreaterThan(0.99);
        expect(bucket.flops / plain.buckets[i]!.flops).toBeLessThan(1.2);
      });
      expect(await readdir('.')).toEqual(before);
    },
  );

  test('a configuration without caches and pictures says what is missing', async () => {
    await rm(join(folder.path, 'cache'), { recursive: true });
    await writeFile(
      'dataset.toml',
      '[general]\nresolution = 64\ncaption_extension = ".txt"\n[[datasets]]\nimage_directory = "none"\ncache_directory = "c"\n',
    );
    const { config } = await read();
    await expect(estimateRun(config, { runtime })).rejects.toMatchObject({ name: 'DatasetError' });
  });

  describe('with two models', () => {
    const two = ['--dit_high_noise', 'high.safetensors', '--timestep_boundary', '0.875'];
    beforeEach(() => cp('dit.safetensors', 'high.safetensors'));

    test('both are mapped, and both sessions keep their memory', async () => {
      const [one, both] = [await estimated([]), await estimated(two)];
      expect(readWeights).not.toHaveBeenCalled();
      expect(opened).toHaveBeenCalledWith('high.safetensors');
      expect(both.model.weightBytes).toBe(2 * one.model.weightBytes);
      expect(both.model.adapterParameters).toBe(one.model.adapterParameters);
      expect(both.memory.activations).toBe(2 * one.memory.activations);
      expect(both.memory.packedWeights).toBe(2 * one.memory.packedWeights);
      for (const part of ['batches', 'adapter', 'gradients', 'optimizerState'] as const) {
        expect(both.memory[part]).toBe(one.memory[part]);
      }
    });

    test('--offload_inactive_dit keeps one session, of weights that are mapped one model at a time', async () => {
      const [one, offloaded] = [await estimated([]), await estimated([...two, '--offload_inactive_dit'])];
      expect(offloaded.model.weightBytes).toBe(2 * one.model.weightBytes);
      expect(offloaded.memory.activations).toBe(one.memory.activations);
      expect(offloaded.memory.packedWeights).toBe(one.memory.packedWeights);
    });
  });
});
