import type { HostTensor } from '@musubi/onnx-graph';

import { describe, expect, test } from 'vitest';

import type { DeviceTensor, Runtime } from '../src/index.ts';
import type { Call, CallMessage, Reply } from '../src/remote/protocol.ts';

import { createRuntime } from '../src/index.ts';
import { createAnswers } from '../src/remote/answer.ts';
import { createCalls } from '../src/remote/calls.ts';
import { createRemoteRuntime } from '../src/remote/remote-runtime.ts';
import { fakeDevice } from './fake-device.ts';

const model = Uint8Array.of(1);
const vector = (...data: number[]): HostTensor => ({
  dtype: 'float32',
  shape: [data.length],
  data: Float32Array.from(data),
});
const keepOnDevice = ['y'];

interface Started {
  readonly device: ReturnType<typeof fakeDevice>;
  readonly runtime: Runtime;
  /** What went to the worker. */
  readonly calls: Call[];
}

function inThisThread(): Started {
  const device = fakeDevice();
  return { device, runtime: createRuntime(device.ort, { keepsOnDevice: true }), calls: [] };
}

/** Both sides of a worker, with messages that are cloned and arrive later, one after another. */
function acrossMessages(): Started {
  const device = fakeDevice();
  const inner = createRuntime(device.ort, { keepsOnDevice: true });
  const sent: Call[] = [];
  const answer = createAnswers(inner, {
    postMessage: (reply, transfer = []) => {
      const cloned = structuredClone(reply as Reply, { transfer });
      queueMicrotask(() => calls.settle(cloned));
    },
  });
  let last = Promise.resolve();
  const calls = createCalls((message, buffers) => {
    const cloned = structuredClone(message, { transfer: [...buffers] }) as CallMessage;
    sent.push(cloned.call);
    last = last.then(() => answer(cloned));
  });
  const close = async () => void (await calls.call({ kind: 'close' }, 'runtime'));
  return { device, runtime: createRemoteRuntime({ call: calls.call, close }, inner.info), calls: sent };
}

const sides = [
  { name: 'in this thread', start: inThisThread },
  { name: 'in a worker', start: acrossMessages },
];

describe.each(sides)('outputs that stay on the device, $name', ({ start }) => {
  test('go round and are read as often as is wanted', async () => {
    const { device, runtime } = start();
    expect(runtime.info.keepsOnDevice).toBe(true);
    const session = await runtime.createSession({ model, keepOnDevice });
    expect(device.options[0]?.preferredOutputLocation).toEqual({ y: 'gpu-buffer' });
    const first = await session.runOnDevice({ x: vector(1, 2) });
    expect(first.outputs).toEqual({ sum: { dtype: 'float32', shape: [], data: Float32Array.of(3) } });
    const y = first.kept['y']!;
    expect([y.dtype, y.shape]).toEqual(['float32', [2]]);
    expect(await y.read()).toEqual(vector(2, 3));
    const second = await session.runOnDevice({ x: y });
    expect(await second.kept['y']!.read()).toEqual(vector(3, 4));
    expect(await y.read()).toEqual(vector(2, 3));
    expect(device.count).toBe(2);
    await Promise.all([y.release(), y.release(), second.kept['y']!.release()]);
    expect(device.count).toBe(0);
  });

  test('are read by a plain run, and leave nothing there', async () => {
    const { device, runtime } = start();
    const session = await runtime.createSession({ model, keepOnDevice });
    expect(await session.run({ x: vector(1, 2) }, ['y'])).toEqual({ y: vector(2, 3) });
    expect(await session.run({ x: vector(1, 2) }, ['sum'])).toMatchObject({ sum: { data: Float32Array.of(3) } });
    expect(device.count).toBe(0);
  });

  test('are refused once they are released, by themselves or with their session', async () => {
    const { device, runtime } = start();
    const session = await runtime.createSession({ model, label: 'one', keepOnDevice });
    const other = await runtime.createSession({ model, label: 'other' });
    const make = async (): Promise<DeviceTensor> => (await session.runOnDevice({ x: vector(1) })).kept['y']!;
    const [y, z] = [await make(), await make()];
    const reading = y.read();
    const running = other.runOnDevice({ x: y });
    const freed = y.release();
    // what was asked for before is done
    expect(await reading).toEqual(vector(2));
    expect((await running).outputs['y']).toEqual(vector(3));
    await freed;
    await expect(y.read()).rejects.toMatchObject({ code: 'TENSOR_RELEASED' });
    await expect(other.runOnDevice({ x: y })).rejects.toMatchObject({
      code: 'TENSOR_RELEASED',
      label: 'other',
      tensor: 'x',
    });
    const late = session.runOnDevice({ x: vector(1) });
    await session.release();
    await expect(z.read()).rejects.toMatchObject({ code: 'TENSOR_RELEASED' });
    await expect((await late).kept['y']!.read()).rejects.toMatchObject({ code: 'TENSOR_RELEASED' });
    await z.release();
    expect(device.count).toBe(0);
  });

  test('of a run that is asked for before its session is released come out refused', async () => {
    const { device, runtime } = start();
    const session = await runtime.createSession({ model, label: 'one', keepOnDevice });
    const other = await runtime.createSession({ model, label: 'other' });
    const used = session.runOnDevice({ x: vector(1) }).then(async ({ kept: { y } }) => {
      const uses = [other.runOnDevice({ x: y! }), y!.read(), y!.release()];
      return (await Promise.allSettled(uses)).map((use) => (use.status === 'rejected' ? use.reason.code : use.value));
    });
    // while this one runs, the first is over and the session is still there
    const between = other.run({ x: vector(1) });
    await Promise.all([between, session.release()]);
    expect(await used).toEqual(['TENSOR_RELEASED', 'TENSOR_RELEASED', undefined]);
    expect(device.count).toBe(0);
  });

  test('end with the runtime', async () => {
    const { device, runtime } = start();
    const session = await runtime.createSession({ model, keepOnDevice });
    const y = (await session.runOnDevice({ x: vector(1) })).kept['y']!;
    await runtime.close();
    expect(device.count).toBe(0);
    await expect(y.read()).rejects.toMatchObject({ name: 'RuntimeError' });
    await y.release();
  });

  test('of another runtime are refused', async () => {
    const [one, other] = [start(), start()];
    const session = await one.runtime.createSession({ model, keepOnDevice });
    const y = (await session.runOnDevice({ x: vector(1) })).kept['y']!;
    const elsewhere = await other.runtime.createSession({ model, label: 'train' });
    await expect(elsewhere.runOnDevice({ x: y })).rejects.toMatchObject({ code: 'BAD_TENSOR', label: 'train' });
  });

  test('leave nothing behind when a run fails, whose session runs no more', async () => {
    const { device, runtime } = start();
    const session = await runtime.createSession({ model, keepOnDevice });
    device.failAt('run');
    await expect(session.runOnDevice({ x: vector(1) })).rejects.toMatchObject({ code: 'RUN_FAILED' });
    device.failAt(null);
    // onnxruntime-web would take the feeds of the failed run again
    await expect(session.runOnDevice({ x: vector(1) })).rejects.toThrow('Create the session again.');
    await expect(session.run({ x: vector(1) })).rejects.toMatchObject({ code: 'RUN_FAILED' });
    expect(device.count).toBe(0);
  });

  test.each(['read', 'output'] as const)('leave nothing behind when the %s of a result fails', async (what) => {
    const { device, runtime } = start();
    const session = await runtime.createSession({ model, keepOnDevice });
    device.failAt(what);
    await expect(session.runOnDevice({ x: vector(1) })).rejects.toMatchObject({ name: 'RuntimeError' });
    await expect(session.run({ x: vector(1) })).rejects.toMatchObject({ name: 'RuntimeError' });
    expect(device.count).toBe(0);
  });

  test('that cannot be read can be released', async () => {
    const { device, runtime } = start();
    const session = await runtime.createSession({ model, keepOnDevice, label: 'train' });
    const y = (await session.runOnDevice({ x: vector(1) })).kept['y']!;
    device.failAt('read');
    await expect(y.read()).rejects.toMatchObject({ code: 'RUN_FAILED', label: 'train' });
    await y.release();
    expect(device.count).toBe(0);
  });

  test('are named by outputs of the model', async () => {
    const { runtime } = start();
    await expect(runtime.createSession({ model, keepOnDevice: ['y', 'z'] })).rejects.toMatchObject({
      code: 'UNKNOWN_OUTPUT',
      tensor: 'z',
    });
  });

  test('need the provider of the device', async () => {
    const { runtime } = start();
    await expect(runtime.createSession({ model, keepOnDevice, providers: ['wasm'] })).rejects.toMatchObject({
      code: 'NOTHING_STAYS_ON_DEVICE',
    });
  });
});

test('a runtime without such memory refuses them', async () => {
  const runtime = createRuntime(fakeDevice().ort);
  expect(runtime.info).toEqual({ engine: 'onnxruntime-web', version: '0', thread: 'caller' });
  await expect(runtime.createSession({ model, label: 'train', keepOnDevice })).rejects.toMatchObject({
    code: 'NOTHING_STAYS_ON_DEVICE',
    label: 'train',
  });
});

test('between threads only numbers cross, and one message frees what is released in one turn', async () => {
  const { runtime, calls } = acrossMessages();
  const session = await runtime.createSession({ model, keepOnDevice });
  const made = [];
  for (let k = 0; k < 3; k++) made.push((await session.runOnDevice({ x: vector(1) })).kept['y']!);
  await session.runOnDevice({ x: made[0]! });
  expect(calls.at(-1)).toMatchObject({ feeds: { x: { handle: 1 } } });
  await Promise.all(made.map((tensor) => tensor.release()));
  expect(calls.filter(({ kind }) => kind === 'free')).toEqual([{ kind: 'free', handles: [1, 2, 3] }]);
});

test('what a reply that cannot be sent names is freed', async () => {
  const device = fakeDevice();
  const replies: Reply[] = [];
  const answer = createAnswers(createRuntime(device.ort, { keepsOnDevice: true }), {
    postMessage: (reply) => {
      if ((reply as Reply).kind === 'done' && replies.length === 1) throw new Error('no room');
      replies.push(reply as Reply);
    },
  });
  await answer({ id: 1, call: { kind: 'create', request: { model, keepOnDevice } } });
  const x = { dtype: 'float32', shape: [1], buffer: new ArrayBuffer(4) } as const;
  await answer({ id: 2, call: { kind: 'run-on-device', session: 1, feeds: { x } } });
  expect(replies.at(-1)).toMatchObject({ kind: 'failed', id: 2 });
  expect(device.count).toBe(0);
});
