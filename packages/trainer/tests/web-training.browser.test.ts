import { gradientName } from '@musubi/autodiff';
import { type TensorStore, bytesSource, openSafetensors } from '@musubi/safetensors';
import { beforeAll, describe, expect, test } from 'vitest';

import { type RunSize, browserOptions, savedFiles } from './browser-options.ts';
import { type Call, bytesOf } from './recording-runtime.ts';
import { type PageRun, fetchRun, sharedRuntime, trainInPage } from './train-in-page.ts';

/** What Node.js makes of the same configuration, see `browser-references.ts`. */
interface Reference {
  readonly losses: readonly number[];
  readonly gradients: TensorStore;
  /** By the names of the files. */
  readonly saved: ReadonlyMap<string, TensorStore>;
}

async function fetchReference(size: RunSize): Promise<Reference> {
  const get = (file: string) => fetch(`/reference/${size}/${file}`);
  const open = async (file: string) =>
    openSafetensors(bytesSource(new Uint8Array(await (await get(file)).arrayBuffer())));
  const { losses } = (await (await get('run.json')).json()) as { losses: number[] };
  const saved = await Promise.all(savedFiles.map(async (file) => [file, await open(file)] as const));
  return { losses, gradients: await open('gradients.safetensors'), saved: new Map(saved) };
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
    options: '',
    rtol: 1e-5,
    perTensor: 3e-4,
    attention: /^attention over \d+ tokens: whole/,
    place: 'optimizer: on the host, because nothing can stay on wasm between runs',
  },
  {
    name: 'WebGPU, with attention in pieces,',
    device: 'webgpu',
    size: 'tiny',
    options: '--attn_mode chunked --attn_chunk 40',
    rtol: 1e-4,
    perTensor: 1e-4,
    attention: /^attention over \d+ tokens: \d+ pieces of 40 queries/,
    place: 'optimizer: on webgpu, where weights, gradients and moments stay',
  },
] as const;

describe.each(kinds)('20 steps on $name in a worker', (kind) => {
  const { device, size, options, rtol, perTensor, attention, place } = kind;
  let reference: Reference;
  let finished: PageRun;

  beforeAll(async () => {
    reference = await fetchReference(size);
    const runtime = await sharedRuntime(device);
    finished = await trainInPage(await fetchRun(size), runtime, `${browserOptions} ${options}`.trim());
  }, 600_000);

  test('say where the optimizer works', () => {
    expect(finished.lines).toContain(place);
    expect(finished.calls.some(({ label }) => label === 'optimizer_model')).toBe(device === 'webgpu');
  });

  test('have the losses of Node.js', () => {
    expect(finished.lines.filter((line) => attention.test(line))).toHaveLength(1);
    expect(reference.losses).toHaveLength(20);
    expect(finished.losses).toBeAllClose(reference.losses, { rtol });
  });

  test('have its gradients', async () => {
    const batches = finished.calls.filter(({ label }) => label === 'training_model');
    expect(batches).toHaveLength(20);
    const perStep = [...(reference.saved.get(savedFiles[0])?.tensors.keys() ?? [])].filter(isWeight).length;
    expect(reference.gradients.tensors.size).toBe(20 * perStep);
    for (const key of reference.gradients.tensors.keys()) {
      const [step = '', name = ''] = key.split('/');
      const { outputs, kept } = batches[Number(step)]!;
      const actual = { ...outputs, ...kept }[gradientName(name)]?.data as Float32Array;
      expect(distance(actual, await reference.gradients.readFloat32(key)), key).toBeLessThanOrEqual(perTensor);
    }
  });

  test('exchange the adapter only where the optimizer is on the host', () => {
    const adapterBytes = [...reference.gradients.tensors.values()]
      .filter(({ name }) => name.startsWith('0/'))
      .reduce((sum, { shape }) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0);
    const batches = finished.calls.filter(({ label }) => label === 'training_model');
    const steps = finished.calls.filter(({ label }) => label === 'optimizer_model');
    for (const [k, { feeds, outputs }] of batches.entries()) {
      const batch = batchBytes(feeds);
      expect(batch).toBeGreaterThan(0);
      const goesThere = device === 'wasm' || k === 0;
      expect(bytesOf(feeds)).toBe(batch + (goesThere ? adapterBytes : 0));
      expect(bytesOf(outputs)).toBe(4 + (device === 'wasm' ? adapterBytes : 0));
    }
    // weights and zeros for both moments at first, then the factors of its one group and a scale
    const factors = 4 * (3 + 1);
    expect(steps.map(({ feeds }) => bytesOf(feeds))).toEqual(
      device === 'wasm' ? [] : Array.from({ length: 20 }, (_, k) => factors + (k === 0 ? 3 * adapterBytes : 0)),
    );
    // norm of the gradients and sum of the weights
    expect(steps.every(({ outputs }) => bytesOf(outputs) === 8)).toBe(true);
  });

  test.each(savedFiles)('save its adapter %s', async (file) => {
    expect([...finished.saved.keys()]).toEqual(savedFiles);
    const adapter = await openSafetensors(bytesSource(finished.saved.get(file) ?? new Uint8Array()));
    const wanted = reference.saved.get(file)!;
    expect([...adapter.tensors.keys()]).toEqual([...wanted.tensors.keys()]);
    const [actualWeights, expectedWeights]: [number[], number[]] = [[], []];
    for (const [name, { shape }] of wanted.tensors) {
      expect(adapter.tensors.get(name)?.shape).toEqual(shape);
      const [actual, expected] = [await adapter.readFloat32(name), await wanted.readFloat32(name)];
      expect(distance(actual, expected), name).toBeLessThanOrEqual(isWeight(name) ? perTensor : 0);
      if (!isWeight(name)) continue;
      actualWeights.push(...actual);
      expectedWeights.push(...expected);
    }
    expect(distance(actualWeights, expectedWeights)).toBeLessThanOrEqual(rtol);
  });
});

/** Of feeds that are no parameters. */
const batchBytes = (feeds: Call['feeds']): number =>
  bytesOf(Object.fromEntries(Object.entries(feeds).filter(([name]) => !name.startsWith('lora_'))));

/** All tensors of the file but the scales. */
const isWeight = (name: string): boolean => !name.endsWith('.alpha');

/** The norm of the difference, as a part of the norm of what is expected. */
function distance(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual).toHaveLength(expected.length);
  const differences = Array.from(expected, (value, i) => (actual[i] ?? Number.NaN) - value);
  const norm = Math.hypot(...differences);
  return norm === 0 ? 0 : norm / Math.hypot(...Array.from(expected));
}
