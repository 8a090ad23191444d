import { gradientName } from '@musubi/autodiff';
import { resolveOptions } from '@musubi/config';
import { createWebRuntime } from '@musubi/runtime/web';
import { type TensorStore, bytesSource, openSafetensors } from '@musubi/safetensors';
import { beforeAll, describe, expect, test } from 'vitest';

import { fetchFolder } from '../../../tests/browser/fetch-folder.ts';
import { runTraining } from '../src/web.ts';
import { type RunSize, browserOptions, changedFiles } from './browser-options.ts';
import { type Call, recording } from './recording-runtime.ts';

/** What Node.js makes of the same configuration, see `browser-reference.ts`. */
interface Reference {
  readonly losses: readonly number[];
  readonly gradients: TensorStore;
  readonly adapter: TensorStore;
}

async function fetchReference(size: RunSize): Promise<Reference> {
  const get = (file: string) => fetch(`/reference/${size}/${file}`);
  const open = async (file: string) =>
    openSafetensors(bytesSource(new Uint8Array(await (await get(file)).arrayBuffer())));
  const { losses } = (await (await get('run.json')).json()) as { losses: number[] };
  return { losses, gradients: await open('gradients.safetensors'), adapter: await open('adapter.safetensors') };
}

async function fetchRun(size: RunSize): Promise<Map<string, Blob>> {
  const files = await fetchFolder('/golden/runs/wan_t2v');
  for (const [file, change] of Object.entries(changedFiles[size])) {
    files.set(file, new Blob([change((await files.get(file)?.text()) ?? '')]));
  }
  return files;
}

interface Finished {
  readonly losses: readonly number[];
  readonly calls: readonly Call[];
  /** By the names of the files. */
  readonly saved: ReadonlyMap<string, Uint8Array>;
  readonly lines: readonly string[];
}

async function train(size: RunSize, device: 'wasm' | 'webgpu'): Promise<Finished> {
  const files = await fetchRun(size);
  const readText = async (path: string) => (await files.get(path)?.text()) ?? '';
  const argv = ['--config_file', 'config.toml', ...browserOptions.split(' ')];
  const { config } = await resolveOptions({ command: 'train', argv, readText });
  const runtime = await createWebRuntime({
    worker: new Worker('/bundle/runtime-worker.js', { type: 'module' }),
    device,
    threads: 1,
    wasmPaths: `${location.origin}/onnxruntime/`,
  });
  const losses: number[] = [];
  const calls: Call[] = [];
  const saved = new Map<string, Uint8Array>();
  const lines: string[] = [];
  try {
    const { status } = await runTraining(config, {
      files,
      runtime: recording(runtime, calls, 'training_model'),
      logger: (line) => lines.push(line),
      onStep: ({ loss }) => losses.push(loss),
      onSave: (file, bytes) => void saved.set(file, bytes),
    });
    expect(status).toBe('finished');
  } finally {
    await runtime.close();
  }
  return { losses, calls, saved, lines };
}

/**
 * Each loss and the saved adapter as a whole agree within `rtol`, each tensor of the adapter and each gradient within
 * `perTensor` of its norm. That is more for the recorded run, whose texts are padded to 512 nearly equal keys: the gradients
 * of their products are what is left where large terms cancel, 1e-5 of the others', so that rounding shows in them, and
 * AdamW, which divides a gradient by its own size, carries it into the weights. A gradient that is 0.1 % off, or a step
 * that is missing, is three times the limit or more.
 */
const kinds = [
  {
    name: 'WebAssembly',
    device: 'wasm',
    size: 'recorded',
    rtol: 1e-5,
    perTensor: 3e-4,
    place: 'optimizer: on the host, because nothing can stay on wasm between runs',
  },
  {
    name: 'WebGPU',
    device: 'webgpu',
    size: 'tiny',
    rtol: 1e-4,
    perTensor: 1e-4,
    place: 'optimizer: on webgpu, where weights, gradients and moments stay',
  },
] as const;

describe.each(kinds)('20 steps on $name in a worker', ({ device, size, rtol, perTensor, place }) => {
  let reference: Reference;
  let finished: Finished;

  beforeAll(async () => {
    reference = await fetchReference(size);
    finished = await train(size, device);
  }, 600_000);

  test('say where the optimizer works', () => {
    expect(finished.lines).toContain(place);
    expect(finished.calls.some(({ label }) => label === 'optimizer_model')).toBe(device === 'webgpu');
  });

  test('have the losses of Node.js', () => {
    expect(reference.losses).toHaveLength(20);
    expect(finished.losses).toBeAllClose(reference.losses, { rtol });
  });

  test('have its gradients', async () => {
    const batches = finished.calls.filter(({ label }) => label === 'training_model');
    expect(batches).toHaveLength(20);
    const perStep = [...reference.adapter.tensors.keys()].filter(isWeight).length;
    expect(reference.gradients.tensors.size).toBe(20 * perStep);
    for (const key of reference.gradients.tensors.keys()) {
      const [step = '', name = ''] = key.split('/');
      const { outputs, kept } = batches[Number(step)]!;
      const actual = { ...outputs, ...kept }[gradientName(name)]?.data as Float32Array;
      expect(distance(actual, await reference.gradients.readFloat32(key)), key).toBeLessThanOrEqual(perTensor);
    }
  });

  test('save its adapter', async () => {
    expect([...finished.saved.keys()]).toEqual(['my_lora.safetensors']);
    const adapter = await openSafetensors(bytesSource(finished.saved.get('my_lora.safetensors') ?? new Uint8Array()));
    expect([...adapter.tensors.keys()]).toEqual([...reference.adapter.tensors.keys()]);
    const [actualWeights, expectedWeights]: [number[], number[]] = [[], []];
    for (const [name, { shape }] of reference.adapter.tensors) {
      expect(adapter.tensors.get(name)?.shape).toEqual(shape);
      const [actual, expected] = [await adapter.readFloat32(name), await reference.adapter.readFloat32(name)];
      expect(distance(actual, expected), name).toBeLessThanOrEqual(isWeight(name) ? perTensor : 0);
      if (!isWeight(name)) continue;
      actualWeights.push(...actual);
      expectedWeights.push(...expected);
    }
    expect(distance(actualWeights, expectedWeights)).toBeLessThanOrEqual(rtol);
  });
});

/** All tensors of the file but the scales. */
const isWeight = (name: string): boolean => !name.endsWith('.alpha');

/** The norm of the difference, as a part of the norm of what is expected. */
function distance(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual).toHaveLength(expected.length);
  const differences = Array.from(expected, (value, i) => (actual[i] ?? Number.NaN) - value);
  const norm = Math.hypot(...differences);
  return norm === 0 ? 0 : norm / Math.hypot(...Array.from(expected));
}
