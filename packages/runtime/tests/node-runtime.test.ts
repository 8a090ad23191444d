import { join, relative } from 'node:path';

import { add, identity, matmul, mul } from '@musubi/onnx-graph';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Runtime } from '../src/index.ts';

import { createNodeRuntime } from '../src/node.ts';
import { buildModel, float32, numbers, temporaryFolder } from './fixtures.ts';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await createNodeRuntime();
});
afterAll(() => runtime.close());

const double = buildModel((g) => {
  const x = g.input('x', 'float32', ['n']);
  return { y: add(x, x), x2: identity(x) };
});

test('info names engine and thread', () => {
  expect(runtime.info).toMatchObject({ engine: 'onnxruntime-node', thread: 'worker' });
  expect(runtime.info.version).toMatch(/^1\.\d+\.\d+$/);
});

test('outputs cannot stay on a device', async () => {
  expect(runtime.info.keepsOnDevice).toBeUndefined();
  await expect(runtime.createSession({ model: double, keepOnDevice: ['y'] })).rejects.toMatchObject({
    code: 'NOTHING_STAYS_ON_DEVICE',
  });
  const session = await runtime.createSession({ model: double });
  const { outputs, kept } = await session.runOnDevice({ x: float32([1], [1]) });
  expect([outputs, kept]).toEqual([{ y: float32([1], [2]), x2: float32([1], [1]) }, {}]);
});

describe('tensors between the threads', () => {
  test('feeds stay the caller’s, also views of larger and shared buffers', async () => {
    const session = await runtime.createSession({ model: double });
    const whole = Float32Array.of(9, 1, 2, 3, 9);
    const shared = new Float32Array(new SharedArrayBuffer(12));
    shared.set([4, 5, 6]);
    const pooled = Buffer.from(Float32Array.of(7, 8).buffer);
    const outOfPool = new Float32Array(pooled.buffer, pooled.byteOffset, 2);

    for (const data of [whole.subarray(1, 4), shared, outOfPool, whole.subarray(1, 4)]) {
      const before = [...data];
      const { y } = await session.run({ x: { dtype: 'float32', shape: [data.length], data } });

      expect(y).toEqual(
        float32(
          [before.length],
          before.map((v) => 2 * v),
        ),
      );
      expect([...data]).toEqual(before);
    }
    expect(whole).toEqual(Float32Array.of(9, 1, 2, 3, 9));
  });

  test('results of one run are not touched by the next', async () => {
    const session = await runtime.createSession({ model: double });
    const first = await session.run({ x: float32([3], [1, 2, 3]) });
    const second = await session.run({ x: float32([3], [4, 5, 6]) });

    expect(first).toEqual({ y: float32([3], [2, 4, 6]), x2: float32([3], [1, 2, 3]) });
    expect(second).toEqual({ y: float32([3], [8, 10, 12]), x2: float32([3], [4, 5, 6]) });
  });

  test('many runs at once, of several sessions, keep their own data', async () => {
    const sessions = await Promise.all([1, 2, 3].map(() => runtime.createSession({ model: double })));
    const runs = Array.from({ length: 60 }, async (_, i) => {
      const result = await sessions[i % 3]?.run({ x: float32([1 + (i % 4)], Array(1 + (i % 4)).fill(i)) }, ['y']);
      expect(result).toEqual({ y: float32([1 + (i % 4)], Array(1 + (i % 4)).fill(2 * i)) });
    });
    await Promise.all(runs);
  });

  test('the model’s bytes stay the caller’s', async () => {
    const padded = new Uint8Array(double.length + 20);
    padded.set(double, 7);
    const session = await runtime.createSession({ model: padded.subarray(7, 7 + double.length) });

    expect(await session.run({ x: float32([1], [3]) }, ['y'])).toEqual({ y: float32([1], [6]) });
    expect(padded.subarray(7, 7 + double.length)).toEqual(double);
  });

  test('bfloat16 cannot be fed', async () => {
    const session = await runtime.createSession({ model: double });
    const feeds = { x: { dtype: 'bfloat16', shape: [1], data: new Uint16Array(1) } } as const;

    await expect(session.run(feeds)).rejects.toMatchObject({ code: 'DTYPE_UNSUPPORTED', tensor: 'x' });
  });
});

describe('errors from the worker', () => {
  test('arrive with their facts, and the worker goes on', async () => {
    const session = await runtime.createSession({
      model: buildModel((g) => ({
        y: matmul(g.input('a', 'float32', ['n', 'k']), g.input('b', 'float32', ['k', 'm'])),
      })),
      label: 'train',
    });
    const bad = session.run({ a: float32([1, 2], [1, 2]), b: float32([3, 1], [1, 2, 3]) });
    const good = session.run({ a: float32([1, 2], [1, 2]), b: float32([2, 1], [3, 4]) });

    await expect(bad).rejects.toMatchObject({
      name: 'RuntimeError',
      code: 'RUN_FAILED',
      label: 'train',
      node: 'MatMul_1',
      operator: 'MatMul',
      cause: { message: expect.stringContaining('MatMul dimension mismatch') },
    });
    expect(await good).toEqual({ y: float32([1, 1], [11]) });
  });

  test('a request that is not plain data is refused', async () => {
    const request = { model: double, memory: { prepackWeights: () => true } };

    await expect(runtime.createSession(request as never)).rejects.toMatchObject({ code: 'BAD_OPTION' });
    await expect(runtime.createSession({ model: new Uint8Array(3) })).rejects.toMatchObject({ code: 'INVALID_MODEL' });
  });
});

test('timers of the main thread fire during a long run', async () => {
  const n = 768;
  const session = await runtime.createSession({
    model: buildModel((g) => {
      const x = g.input('x', 'float32', [n, n]);
      let y = x;
      for (let i = 0; i < 60; i++) y = mul(matmul(y, x), 0.01);
      return { y };
    }),
    memory: { prepackWeights: false, arena: true, memoryPattern: false, foldConstants: true, threads: 1 },
  });
  const start = performance.now();
  let last = start;
  let longest = 0;
  const tick = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  };
  const timer = setInterval(tick, 5);
  await session.run({ x: float32([n, n], numbers(n * n)) });
  clearInterval(timer);
  tick();

  // in one thread the longest gap is the whole run
  expect(longest).toBeLessThan((performance.now() - start) / 2);
});

describe('the end of the runtime', () => {
  test('lets earlier calls finish and refuses later ones', async () => {
    const other = await createNodeRuntime();
    const session = await other.createSession({ model: double, label: 'train' });
    const run = session.run({ x: float32([1], [3]) }, ['y']);
    const closed = other.close();

    await expect(session.run({ x: float32([1], [3]) })).rejects.toMatchObject({
      code: 'RUNTIME_CLOSED',
      label: 'train',
    });
    await expect(other.createSession({ model: double })).rejects.toMatchObject({ code: 'RUNTIME_CLOSED' });
    expect(await run).toEqual({ y: float32([1], [6]) });
    await closed;
    await other.close();
    await session.release();
  });

  test('a released session refuses runs', async () => {
    const session = await runtime.createSession({ model: double, label: 'eval' });
    await Promise.all([session.release(), session.release()]);

    await expect(session.run({ x: float32([1], [3]) })).rejects.toMatchObject({
      code: 'SESSION_RELEASED',
      label: 'eval',
    });
  });
});

/** A worker that creates sessions and does `body` when one runs. */
const script = (body: string) =>
  new URL(
    `data:text/javascript,${encodeURIComponent(`
        import { parentPort } from 'node:worker_threads';
        parentPort.postMessage({ kind: 'ready', info: {} });
        parentPort.on('message', ({ id, call }) => {
          const created = { session: 1, inputNames: [], outputNames: [] };
          if (call.kind === 'create') parentPort.postMessage({ kind: 'done', id, result: { created } });
          else { ${body} }
        });`)}`,
  );

describe('a worker that ends by itself', () => {
  test.each([
    { how: 'by an exception', body: "throw new Error('boom')", found: /boom/ },
    { how: 'by an exit', body: 'process.exit(7)', found: /code 7/ },
  ])('$how fails every waiting and later call', async ({ body, found }) => {
    const broken = await createNodeRuntime({ workerUrl: script(body) });
    const session = await broken.createSession({ model: double, label: 'train' });
    const runs = [session.run({}), session.run({})];

    for (const run of runs) {
      await expect(run).rejects.toMatchObject({
        code: 'WORKER_CRASHED',
        label: 'train',
        message: expect.stringMatching(found),
      });
    }
    await expect(session.run({})).rejects.toMatchObject({ code: 'WORKER_CRASHED' });
    await expect(broken.createSession({ model: double })).rejects.toMatchObject({ code: 'WORKER_CRASHED' });
    await broken.close();
  });

  test('before it is ready fails the creation', async () => {
    const workerUrl = new URL('data:text/javascript,process.exit(3)');

    await expect(createNodeRuntime({ workerUrl })).rejects.toMatchObject({ code: 'WORKER_CRASHED' });
  });
});

test('a profile is written when the session is released', async () => {
  const { readdirSync, readFileSync } = await import('node:fs');
  const folder = temporaryFolder();
  const prefix = join(relative(process.cwd(), folder), 'step');
  const session = await runtime.createSession({ model: double, profileFilePrefix: prefix });
  await session.run({ x: float32([1], [3]) });
  await session.release();
  const [file = ''] = readdirSync(folder);
  const events = JSON.parse(readFileSync(join(folder, file), 'utf8')) as { args?: { provider?: string } }[];

  expect(events.some(({ args }) => args?.provider === 'CPUExecutionProvider')).toBe(true);
});
