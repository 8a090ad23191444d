import type { HostTensor } from '@musubi/onnx-graph';

import { Graph, encodeModel, matmul } from '@musubi/onnx-graph';
import * as ort from 'onnxruntime-web/wasm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { ExternalContent, Runtime } from '../src/index.ts';

import { createWebRuntime } from '../src/web.ts';

const url = '/golden/runs/wan_t2v/dit.safetensors';
const wasmPaths = `${location.origin}/onnxruntime/`;
const startWorker = (script = '/bundle/runtime-worker.js') => new Worker(script, { type: 'module' });

let file: Blob;
/** Where the first matrix of the file lies, from its start. */
let place: { readonly offset: number; readonly length: number };
let shape: readonly [number, number];
let weight: Float32Array;

beforeAll(async () => {
  file = await (await fetch(url)).blob();
  const headerLength = Number(new DataView(await file.slice(0, 8).arrayBuffer()).getBigUint64(0, true));
  const header = JSON.parse(await file.slice(8, 8 + headerLength).text()) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const tensors = Object.values(header).filter((tensor) => tensor.dtype === 'F32' && tensor.shape.length === 2);
  const tensor = tensors.find(({ data_offsets: [start] }) => start > 0)!;
  const [start, end] = tensor.data_offsets;
  place = { offset: 8 + headerLength + start, length: end - start };
  shape = tensor.shape as [number, number];
  weight = new Float32Array(await file.slice(place.offset, place.offset + place.length).arrayBuffer());
});

/** `y = x·W` with the matrix at `offset` of the external file `w`. */
function model(offset = place.offset): Uint8Array {
  const graph = new Graph('web');
  const w = graph.external('w', 'float32', shape, { location: 'w', offset, length: place.length });
  graph.output('y', matmul(graph.input('x', 'float32', ['t', shape[0]]), w));
  return encodeModel(graph);
}

const x = (): HostTensor => ({
  dtype: 'float32',
  shape: [2, shape[0]],
  data: Float32Array.from({ length: 2 * shape[0] }, (_, i) => Math.sin(i)),
});

/** The same in float64. */
function expected(): number[] {
  const [rows, columns] = shape;
  return Array.from({ length: 2 * columns }, (_, at) => {
    const [t, column] = [Math.floor(at / columns), at % columns];
    let sum = 0;
    for (let k = 0; k < rows; k++) sum += Number(x().data[t * rows + k]) * (weight[k * columns + column] ?? Number.NaN);
    return sum;
  });
}

async function run(runtime: Runtime, content: ExternalContent, offset?: number): Promise<ArrayLike<number>> {
  const session = await runtime.createSession({ model: model(offset), externalData: { w: content } });
  try {
    return (await session.run({ x: x() }))['y']?.data as Float32Array;
  } finally {
    await session.release();
  }
}

const threads = [
  { name: 'a worker', thread: 'worker', options: () => ({ worker: startWorker(), threads: 1 }) },
  { name: 'the thread of the caller', thread: 'caller', options: () => ({ ort, threads: 1 }) },
] as const;

describe.each(threads)('a runtime in $name', ({ thread, options }) => {
  let runtime: Runtime;
  beforeAll(async () => {
    runtime = await createWebRuntime({ ...options(), wasmPaths });
  });
  afterAll(() => runtime?.close());

  test('says what it is', () => {
    expect(runtime.info).toMatchObject({ engine: 'onnxruntime-web', thread, device: 'wasm', threads: 1 });
  });

  test('reads weights from a Blob, a File, bytes and a URL', async () => {
    const bytes = new Uint8Array(await file.arrayBuffer());
    for (const content of [file, new File([file], 'dit.safetensors'), bytes, `${location.origin}${url}`]) {
      expect(await run(runtime, content)).toBeAllClose(expected(), { rtol: 1e-5, atol: 1e-5 });
    }
  });

  test('reads a part of what a URL gives', async () => {
    const range = [place.offset, place.offset + place.length] as const;
    const y = await run(runtime, { url: `${location.origin}${url}`, range }, 0);
    expect(y).toBeAllClose(expected(), { rtol: 1e-5, atol: 1e-5 });
  });

  test('names weights that are not there, and too short ones', async () => {
    const missing = `${location.origin}/golden/none.safetensors`;
    await expect(run(runtime, missing)).rejects.toMatchObject({ code: 'EXTERNAL_FILE_MISSING', path: missing });
    const short = file.slice(0, place.offset + place.length - 1);
    await expect(run(runtime, short)).rejects.toMatchObject({ code: 'EXTERNAL_FILE_TOO_SHORT', tensor: 'w' });
    await expect(
      runtime.createSession({ model: model(), externalFiles: { w: 'dit.safetensors' } }),
    ).rejects.toMatchObject({ code: 'BAD_OPTION' });
  });

  test('keeps nothing on a device', async () => {
    expect(runtime.info.keepsOnDevice).toBeUndefined();
    const request = { model: model(), externalData: { w: file }, keepOnDevice: ['y'] };
    await expect(runtime.createSession(request)).rejects.toMatchObject({ code: 'NOTHING_STAYS_ON_DEVICE' });
  });

  test('has the errors of feeds and of a released session', async () => {
    const session = await runtime.createSession({ model: model(), externalData: { w: file }, label: 'web' });
    await expect(session.run({})).rejects.toMatchObject({ code: 'MISSING_INPUT', tensor: 'x', label: 'web' });
    await expect(session.run({ x: x() }, ['z'])).rejects.toMatchObject({ code: 'UNKNOWN_OUTPUT', tensor: 'z' });
    await session.release();
    await expect(session.run({ x: x() })).rejects.toMatchObject({ code: 'SESSION_RELEASED' });
    await expect(runtime.createSession({ model: new Uint8Array([1, 2, 3]) })).rejects.toMatchObject({
      name: 'RuntimeError',
    });
  });
});

test('two threads compute what one computes, bit for bit', async () => {
  expect(crossOriginIsolated).toBe(true);
  const results: ArrayLike<number>[] = [];
  for (const count of [1, 2]) {
    const runtime = await createWebRuntime({ worker: startWorker(), threads: count, wasmPaths });
    expect(runtime.info).toMatchObject({ threads: count });
    results.push(await run(runtime, file));
    await runtime.close();
  }
  expect(Array.from(results[1] ?? [])).toEqual(Array.from(results[0] ?? [1]));
});

test('a closed runtime makes no session', async () => {
  const runtime = await createWebRuntime({ worker: startWorker(), threads: 1, wasmPaths });
  await runtime.close();
  await expect(runtime.createSession({ model: model(), externalData: { w: file } })).rejects.toMatchObject({
    code: 'RUNTIME_CLOSED',
  });
});

describe('what cannot start', () => {
  test.each([
    { what: 'no place to run', options: () => ({}) },
    { what: 'two places to run', options: () => ({ ort, worker: startWorker() }) },
    { what: 'no thread', options: () => ({ ort, threads: 0 }) },
    { what: 'half a thread in a worker', options: () => ({ worker: startWorker(), threads: 0.5 }) },
    { what: 'an unknown device', options: () => ({ ort, device: 'tpu' as 'wasm' }) },
  ])('$what is a wrong option', async ({ options }) => {
    await expect(createWebRuntime(options())).rejects.toMatchObject({ name: 'RuntimeError', code: 'BAD_OPTION' });
  });

  test('a worker whose script is not there', async () => {
    await expect(createWebRuntime({ worker: startWorker('/bundle/none.js') })).rejects.toMatchObject({
      code: 'WORKER_CRASHED',
    });
  });
});
