import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import fc from 'fast-check';
import { InferenceSession } from 'onnxruntime-node';
import { afterAll, describe, expect, test } from 'vitest';

import type { StoredParameter } from '../src/index.ts';

import {
  Graph,
  cast,
  createParams,
  embedding,
  encodeModel,
  fuseProducts,
  gateWeights,
  int64s,
  linear,
  reshape,
} from '../src/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'musubi-onnx-graph-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** bfloat16 bits of small integers. */
const bfloat16 = (values: readonly number[]) =>
  Uint16Array.from(values, (v) => (new Uint32Array(Float32Array.of(v).buffer)[0] ?? 0) >>> 16);

const encoders = {
  float32: (values: readonly number[]) => new Uint8Array(Float32Array.from(values).buffer),
  bfloat16: (values: readonly number[]) => new Uint8Array(bfloat16(values).buffer),
} as const;

type Dtype = keyof typeof encoders;

interface Layout {
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

let files = 0;

/** The number at a place of a file: bfloat16 has all whole numbers up to 256 only. */
const numberAt = (place: number): number => place % 251;

/** The numbers 0, 1, … behind one odd byte of a file, seen through a layout. */
function weight({ shape, strides }: Layout, dtype: Dtype): StoredParameter {
  const span = shape.reduce((sum, size, axis) => sum + (size - 1) * (strides[axis] ?? 0), 1);
  const data = encoders[dtype](Array.from({ length: span }, (_, i) => numberAt(i)));
  const location = `${files++}.pth`;
  writeFileSync(join(folder, location), Uint8Array.from([7, ...data]));
  return { dtype, shape, strides, external: { location, offset: 1, length: data.length } };
}

async function run(graph: Graph): Promise<Record<string, readonly number[]>> {
  const session = await InferenceSession.create(encodeModel(graph), {
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
    extra: {
      session: { model_external_initializers_file_folder_path: folder },
      optimization: { disable_specified_optimizers: 'ConstantFolding' },
    },
  });
  const results = await session.run({});
  await session.release();
  return Object.fromEntries(
    Object.entries(results).map(([name, { data }]) => [name, Array.from(data as Float32Array)]),
  );
}

/** What the elements are, by the definition of strides. */
function elements({ shape, strides }: Layout): number[] {
  const places = shape.reduce<number[]>(
    (starts, size, axis) =>
      starts.flatMap((start) => Array.from({ length: size }, (_, i) => start + i * (strides[axis] ?? 0))),
    [0],
  );
  return places.map(numberAt);
}

/** Axes inside one another with gaps, some repeated, in any order. */
const layout: fc.Arbitrary<Layout> = fc
  .array(fc.record({ size: fc.integer({ min: 1, max: 4 }), gap: fc.nat(3), repeated: fc.nat(4), place: fc.nat() }), {
    minLength: 1,
    maxLength: 4,
  })
  .map((axes) => {
    let span = 1;
    const placed = axes.map(({ size, gap, repeated, place }) => {
      const stride = repeated === 0 ? 0 : span + gap;
      span += (size - 1) * stride;
      return { size, stride, place };
    });
    const ordered = placed.toSorted((a, b) => a.place - b.place);
    return { shape: ordered.map((a) => a.size), strides: ordered.map((a) => a.stride) };
  });

test('any layout without overlap is seen by ONNX Runtime as its strides say', async () => {
  await fc.assert(
    fc.asyncProperty(layout, fc.constantFrom<Dtype>('float32', 'bfloat16'), async (found, dtype) => {
      const graph = new Graph('strided');
      const p = createParams(graph, () => weight(found, dtype));
      graph.output('wide', p.tensor('w', found.shape));
      graph.output('narrow', cast(p.stored('w', found.shape), 'float32'));
      expect(await run(graph)).toEqual({ wide: elements(found), narrow: elements(found) });
    }),
    { numRuns: 60 },
  );
});

describe('a transposed weight', () => {
  const transposed = { shape: [4, 3], strides: [1, 4] };
  const layer = (dtype: Dtype) => {
    const graph = new Graph('layer');
    const p = createParams(graph, () => weight(transposed, dtype)).at('proj');
    const x = reshape(cast(int64s(graph, [1, 0, 2]), 'float32'), [1, 3]);
    graph.output('y', linear(x, { ...p, has: () => false }, 3, 4));
    return graph;
  };
  const y = [0, 1, 2, 3].map((out) => out + 2 * (out + 8));

  test.each<Dtype>(['float32', 'bfloat16'])('of %s is read by a product as it lies', async (dtype) => {
    const graph = layer(dtype);
    const fused = gateWeights(fuseProducts(graph));
    expect(fused.nodes.some((node) => node.op === 'Transpose')).toBe(false);
    expect(fused.initializers.find((v) => v.name === 'proj.weight.stored')?.shape).toEqual([3, 4]);
    expect(await run(graph)).toEqual({ y });
    expect(await run(fused)).toEqual({ y });
  });

  test('has its name where the model sees it', () => {
    expect(layer('bfloat16').find('proj.weight')).toMatchObject({ kind: 'node', shape: [4, 3], dtype: 'float32' });
  });

  test('gives the rows of an embedding', async () => {
    const graph = new Graph('embedding');
    const p = createParams(graph, () => weight(transposed, 'bfloat16'));
    graph.output('y', embedding(int64s(graph, [3, 1]), p, 4, 3));
    expect(await run(graph)).toEqual({ y: [3, 7, 11, 1, 5, 9] });
  });
});

test('overlapping elements are refused by name', () => {
  const p = createParams(new Graph('g'), () => weight({ shape: [3, 4], strides: [2, 1] }, 'float32'));
  expect(() => p.tensor('w', [3, 4])).toThrowErrorMatchingInlineSnapshot(
    `[GraphError: w: the elements of [3, 4] with strides [2, 1] overlap in the file. In PyTorch, save it as tensor.clone().contiguous().]`,
  );
  expect(() => p.stored('w', [3, 4])).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_LAYOUT', at: 'w' }));
});
