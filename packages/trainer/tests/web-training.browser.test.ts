import type { TrainConfig } from '@musubi/config';
import type { Runtime } from '@musubi/runtime';

import { resolveOptions } from '@musubi/config';
import { createWebRuntime } from '@musubi/runtime/web';
import { type TensorStore, bytesSource, openSafetensors } from '@musubi/safetensors';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { fetchFolder } from '../../../tests/browser/fetch-folder.ts';
import { runTraining } from '../src/web.ts';
import { browserOptions } from './browser-options.ts';

const run = 'wan_t2v';

/** What Node.js makes of the same configuration, see `browser-reference.ts`. */
interface Reference {
  readonly losses: readonly number[];
  readonly adapter: TensorStore;
}

let files: Map<string, Blob>;
let config: TrainConfig;
let reference: Reference;

beforeAll(async () => {
  files = await fetchFolder(`/golden/runs/${run}`);
  const readText = async (path: string) => (await files.get(path)?.text()) ?? '';
  const argv = ['--config_file', 'config.toml', ...browserOptions.split(' ')];
  ({ config } = await resolveOptions({ command: 'train', argv, readText }));
  const { losses } = (await (await fetch('/reference/run.json')).json()) as { losses: number[] };
  const saved = new Uint8Array(await (await fetch('/reference/adapter.safetensors')).arrayBuffer());
  reference = { losses, adapter: await openSafetensors(bytesSource(saved)) };
});

const startWorker = () => new Worker('/bundle/runtime-worker.js', { type: 'module' });
const wasmPaths = `${location.origin}/onnxruntime/`;

const kinds = [
  { name: 'WebAssembly in a worker', options: () => ({ worker: startWorker(), threads: 1 }), rtol: 1e-5 },
  { name: 'WebGPU in a worker', options: () => ({ worker: startWorker(), device: 'webgpu' as const }), rtol: 1e-4 },
  { name: 'WebAssembly in two threads', options: () => ({ worker: startWorker(), threads: 2 }), rtol: 1e-5 },
];

describe.each(kinds)('20 steps on $name', ({ options, rtol }) => {
  let runtime: Runtime;
  const losses: number[] = [];
  const saved = new Map<string, Uint8Array>();

  beforeAll(async () => {
    runtime = await createWebRuntime({ ...options(), wasmPaths });
    const { status } = await runTraining(config, {
      files,
      runtime,
      onStep: ({ loss }) => losses.push(loss),
      onSave: (file, bytes) => void saved.set(file, bytes),
    });
    expect(status).toBe('finished');
  }, 600_000);
  afterAll(() => runtime?.close());

  test('has the losses of Node.js', () => {
    expect(reference.losses).toHaveLength(20);
    expect(losses).toBeAllClose(reference.losses, { rtol });
  });

  test('saves the adapter of Node.js', async () => {
    expect([...saved.keys()]).toEqual(['my_lora.safetensors']);
    const adapter = await openSafetensors(bytesSource(saved.get('my_lora.safetensors') ?? new Uint8Array()));
    expect([...adapter.tensors.keys()]).toEqual([...reference.adapter.tensors.keys()]);
    let [difference, size] = [0, 0];
    for (const [name, { shape }] of reference.adapter.tensors) {
      expect(adapter.tensors.get(name)?.shape).toEqual(shape);
      const expected = await reference.adapter.readFloat32(name);
      const actual = await adapter.readFloat32(name);
      // as a run in Node.js is compared with the original's: AdamW divides each gradient by its own size, so that single
      // weights with tiny ones differ by more than the others
      expect(actual, name).toBeAllClose(expected, { atol: 2 * rtol });
      difference += squares(actual.map((value, i) => value - (expected[i] ?? Number.NaN)));
      size += squares(expected);
    }
    expect(Math.sqrt(difference / size)).toBeLessThanOrEqual(rtol);
  });
});

const squares = (x: Float32Array): number => x.reduce((sum, value) => sum + value * value, 0);
