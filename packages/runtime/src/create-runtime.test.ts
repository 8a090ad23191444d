import { Graph, type Value, add, cast, encodeModel, identity, matmul } from '@musubi/onnx-graph';
import * as ort from 'onnxruntime-node';
import { afterAll, describe, expect, test } from 'vitest';

import type { HostTensor } from '@musubi/onnx-graph';

import { createRuntime } from './create-runtime.ts';

const runtime = createRuntime(ort);
afterAll(() => runtime.close());

const float32 = (shape: readonly number[], ...data: number[]): HostTensor => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from(data),
});

function model(build: (graph: Graph) => Record<string, Value>): Uint8Array {
  const graph = new Graph('test');
  for (const [name, value] of Object.entries(build(graph))) graph.output(name, value);
  return encodeModel(graph);
}

const sum = model((g) => {
  const x = g.input('x', 'float32', ['n', 2]);
  return { y: add(x, g.input('k', 'float32', [])), 'x again': x };
});

describe('a session in the calling thread', () => {
  test('names its inputs and outputs and runs', async () => {
    const session = await runtime.createSession({ model: sum });
    const result = await session.run({ x: float32([2, 2], 1, 2, 3, 4), k: float32([], 10) });

    expect(session.inputNames).toEqual(['x', 'k']);
    expect(session.outputNames).toEqual(['y', 'x again']);
    expect(result).toEqual({ y: float32([2, 2], 11, 12, 13, 14), 'x again': float32([2, 2], 1, 2, 3, 4) });
    await session.release();
  });

  test('returns only the outputs asked for', async () => {
    const session = await runtime.createSession({ model: sum });
    const result = await session.run({ x: float32([0, 2]), k: float32([], 1) }, ['y']);

    expect(result).toEqual({ y: float32([0, 2]) });
  });

  test.each([
    { dtype: 'float16', data: Uint16Array.of(0x3c00, 0x7e01, 0x8000) },
    { dtype: 'float64', data: Float64Array.of(0.1, -0, 2) },
    { dtype: 'int32', data: Int32Array.of(-1, 2, 3) },
    { dtype: 'int64', data: BigInt64Array.of(-(2n ** 62n), 2n, 3n) },
    { dtype: 'uint8', data: Uint8Array.of(255, 0, 7) },
    { dtype: 'bool', data: Uint8Array.of(1, 0, 1) },
  ] as const)('carries $dtype unchanged', async ({ dtype, data }) => {
    const session = await runtime.createSession({ model: model((g) => ({ y: identity(g.input('x', dtype, [3])) })) });

    expect(await session.run({ x: { dtype, shape: [3], data } })).toEqual({ y: { dtype, shape: [3], data } });
  });

  test('reads external data given as bytes', async () => {
    const session = await runtime.createSession({
      model: model((g) => {
        const w = g.external('w', 'float32', [2], { location: 'w.bin', offset: 4, length: 8 });
        return { y: add(g.input('x', 'float32', [2]), w) };
      }),
      externalData: { 'w.bin': new Uint8Array(Float32Array.of(0, 5, 6).buffer) },
    });

    expect(await session.run({ x: float32([2], 1, 1) })).toEqual({ y: float32([2], 6, 7) });
  });
});

describe('feeds and outputs that do not fit', () => {
  const x = float32([1, 2], 1, 2);
  const k = float32([], 1);
  test.each([
    { name: 'a missing input', feeds: { x }, expected: { code: 'MISSING_INPUT', tensor: 'k' } },
    { name: 'an unknown input', feeds: { x, k, z: k }, expected: { code: 'UNKNOWN_INPUT', tensor: 'z' } },
    {
      name: 'another dtype',
      feeds: { x: { dtype: 'float64', shape: [1, 2], data: new Float64Array(2) }, k },
      expected: { code: 'DTYPE_MISMATCH', tensor: 'x' },
    },
    { name: 'another length', feeds: { x: float32([1, 1], 1), k }, expected: { code: 'SHAPE_MISMATCH', tensor: 'x' } },
    { name: 'another rank', feeds: { x: float32([2], 1, 2), k }, expected: { code: 'SHAPE_MISMATCH', tensor: 'x' } },
    { name: 'too few data', feeds: { x: float32([2, 2], 1), k }, expected: { code: 'BAD_TENSOR', tensor: 'x' } },
    { name: 'a negative length', feeds: { x: float32([-1, 2], 1), k }, expected: { code: 'BAD_TENSOR', tensor: 'x' } },
    {
      name: 'data of another kind',
      feeds: { x: { dtype: 'float32', shape: [1, 2], data: new Int32Array(2) }, k },
      expected: { code: 'BAD_TENSOR', tensor: 'x' },
    },
  ] as const)('$name is refused by name', async ({ feeds, expected }) => {
    const session = await runtime.createSession({ model: sum, label: 'train' });

    await expect(session.run(feeds as never)).rejects.toMatchObject({
      name: 'RuntimeError',
      label: 'train',
      ...expected,
    });
  });

  test('an unknown output is refused by name, and so is none', async () => {
    const session = await runtime.createSession({ model: sum });

    await expect(session.run({ x, k }, ['loss'])).rejects.toMatchObject({ code: 'UNKNOWN_OUTPUT', tensor: 'loss' });
    await expect(session.run({ x, k }, [])).rejects.toMatchObject({ code: 'UNKNOWN_OUTPUT' });
  });
});

describe('what ONNX Runtime refuses', () => {
  const foreign = { types: [{ dtype: 'float32', shape: [2] }] } as const;
  test.each([
    { name: 'bytes that are no model', bytes: Uint8Array.of(1, 2, 3), expected: { code: 'INVALID_MODEL' } },
    { name: 'no bytes', bytes: new Uint8Array(), expected: { code: 'INVALID_MODEL' } },
    {
      name: 'an operator without schema',
      bytes: model((g) => {
        const [y] = g.node(
          'Erf',
          [g.input('x', 'float32', [2])],
          {},
          { ...foreign, name: 'blocks.0/odd', domain: 'com.odd' },
        );
        return y ? { y } : {};
      }),
      expected: { code: 'OPERATOR_UNSUPPORTED', operator: 'com.odd:Erf' },
    },
    {
      name: 'an operator for a dtype without kernel',
      bytes: model((g) => {
        const narrow = cast(g.input('x', 'float32', [2]), 'bfloat16');
        const [y] = g.node('Sin', [narrow], {}, { name: 'blocks.0/sin' });
        return y ? { y: cast(y, 'float32') } : {};
      }),
      expected: { code: 'OPERATOR_UNSUPPORTED', node: 'blocks.0/sin', operator: 'Sin' },
    },
    {
      name: 'a bfloat16 output',
      bytes: model((g) => ({ y: cast(g.input('x', 'float32', [2]), 'bfloat16') })),
      expected: { code: 'DTYPE_UNSUPPORTED' },
    },
    {
      name: 'external data without a folder',
      bytes: model((g) => ({
        y: add(
          g.input('x', 'float32', [2]),
          g.external('w', 'float32', [2], { location: 'none.bin', offset: 0, length: 8 }),
        ),
      })),
      expected: { code: 'EXTERNAL_FILE_MISSING' },
    },
  ])('$name is a typed error', async ({ bytes, expected }) => {
    const error: unknown = await runtime.createSession({ model: bytes, label: 'train' }).catch((e: unknown) => e);

    expect(error).toMatchObject({ name: 'RuntimeError', label: 'train', ...expected });
    expect((error as Error).cause).toBeInstanceOf(Error);
  });

  test('a provider that is not there is a typed error', async () => {
    await expect(runtime.createSession({ model: sum, providers: ['wasm'] })).rejects.toMatchObject({
      code: 'PROVIDER_UNAVAILABLE',
    });
  });

  test('a node that fails in a run is named', async () => {
    const session = await runtime.createSession({
      model: model((g) => {
        const y = g.within('blocks.7', () =>
          matmul(g.input('a', 'float32', ['n', 'k']), g.input('b', 'float32', ['k', 'm'])),
        );
        return { y };
      }),
    });
    const run = session.run({ a: float32([1, 2], 1, 2), b: float32([3, 1], 1, 2, 3) });

    await expect(run).rejects.toMatchObject({ code: 'RUN_FAILED', node: 'blocks.7/MatMul_1', operator: 'MatMul' });
  });

  test('more memory than there is is a typed error that names the node', async () => {
    const session = await runtime.createSession({
      model: model((g) => {
        const [y] = g.node(
          'Expand',
          [g.input('x', 'float32', [1]), g.input('shape', 'int64', [3])],
          {},
          {
            name: 'blocks.7/big',
            types: [{ dtype: 'float32', shape: ['a', 'b', 'c'] }],
          },
        );
        return y ? { y } : {};
      }),
    });
    const shape = { dtype: 'int64', shape: [3], data: BigInt64Array.of(2n ** 20n, 2n ** 20n, 2n ** 10n) } as const;
    const error: unknown = await session.run({ x: float32([1], 1), shape }).catch((e: unknown) => e);

    expect(error).toMatchObject({ code: 'OUT_OF_MEMORY', node: 'blocks.7/big', operator: 'Expand' });
  });
});

describe('the end of a session', () => {
  const feeds = { x: float32([1, 2], 1, 2), k: float32([], 1) };

  test('lets earlier runs finish and refuses later ones', async () => {
    const session = await runtime.createSession({ model: sum });
    const run = session.run(feeds, ['y']);
    const released = session.release();

    await expect(session.run(feeds)).rejects.toMatchObject({ code: 'SESSION_RELEASED' });
    expect(await run).toEqual({ y: float32([1, 2], 2, 3) });
    await released;
    await session.release();
  });

  test('comes with the end of the runtime', async () => {
    const other = createRuntime(ort);
    const session = await other.createSession({ model: sum });
    const run = session.run(feeds, ['y']);
    await Promise.all([other.close(), other.close()]);

    expect(await run).toEqual({ y: float32([1, 2], 2, 3) });
    await expect(session.run(feeds)).rejects.toMatchObject({ code: 'RUNTIME_CLOSED' });
    await expect(other.createSession({ model: sum })).rejects.toMatchObject({ code: 'RUNTIME_CLOSED' });
    await session.release();
  });
});

test('files by path need the Node entry', async () => {
  await expect(runtime.createSession({ model: sum, externalFiles: { a: '/a' } })).rejects.toMatchObject({
    code: 'BAD_OPTION',
  });
});

test('info names the engine', () => {
  expect(runtime.info).toEqual({ engine: 'onnxruntime-node', version: '1.30.0', thread: 'caller' });
});
