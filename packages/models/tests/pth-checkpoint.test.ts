import type { Params, Value } from '@musubi/onnx-graph';
import type { TensorStore } from '@musubi/safetensors';

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import {
  Graph,
  createParams,
  embedding,
  encodeModel,
  fuseProducts,
  gateWeights,
  int64s,
  linear,
  mul,
} from '@musubi/onnx-graph';
import { openCheckpointFile, writeSafetensorsFile } from '@musubi/safetensors/node';
import { InferenceSession } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { resolveWeights } from '../src/index.ts';

const fixtures = new URL('../../safetensors/tests/fixtures/pth/', import.meta.url);
const pth = fileURLToPath(new URL('network.pth', fixtures));
const { indices, y } = (
  JSON.parse(readFileSync(new URL('expected.json', fixtures), 'utf8')) as {
    runs: Record<string, { indices: number[]; y: number[] }>;
  }
).runs['network.pth']!;

const folder = mkdtempSync(join(tmpdir(), 'musubi-models-'));
const safetensors = join(folder, 'network.safetensors');
const stores: TensorStore[] = [];

beforeAll(async () => {
  const store = await open(pth);
  const tensors = Array.from(store.tensors.values(), ({ name, dtype, shape }) => ({
    name,
    dtype,
    shape,
    data: () => store.read(name),
  }));
  await writeSafetensorsFile(safetensors, tensors);
});
afterAll(async () => {
  for (const store of stores) await store.close();
  rmSync(folder, { recursive: true });
});

async function open(path: string): Promise<TensorStore> {
  const store = await openCheckpointFile(path);
  stores.push(store);
  return store;
}

const network = {
  longName: 'network',
  inferConfig: () => null,
  parameters: () => [
    { name: 'embed.weight', shape: [5, 4] },
    { name: 'up.weight', shape: [6, 4] },
    { name: 'up.bias', shape: [6] },
    { name: 'gate.weight', shape: [6, 4] },
    { name: 'down.weight', shape: [3, 6] },
    { name: 'down.bias', shape: [3] },
    { name: 'head.weight', shape: [3, 3] },
  ],
};

/** `head(down(up(e) ⊙ gate(e)))` of the rows `e` of the table. */
function compute(p: Params): Value {
  const e = embedding(int64s(p.graph, indices), p.at('embed'), 5, 4);
  const inner = mul(linear(e, p.at('up'), 4, 6), linear(e, p.at('gate'), 4, 6));
  return linear(linear(inner, p.at('down'), 6, 3), p.at('head'), 3, 3);
}

async function run(path: string, pass: (graph: Graph) => Graph): Promise<Float32Array> {
  const { source } = resolveWeights(await open(path), network);
  const graph = new Graph('network');
  graph.output(
    'y',
    compute(
      createParams(
        graph,
        source((file) => basename(file)),
      ),
    ),
  );
  const session = await InferenceSession.create(encodeModel(pass(graph)), {
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
    extra: { session: { model_external_initializers_file_folder_path: dirname(path) } },
  });
  const results = await session.run({});
  await session.release();
  return results['y']?.data as Float32Array;
}

const strided = (store: TensorStore) => Array.from(store.tensors.values()).filter((info) => info.strides);

describe('a .pth file and a .safetensors file with the same tensors', () => {
  test('have the same values', async () => {
    const [a, b] = [await open(pth), await open(safetensors)];
    expect([...a.tensors.keys()].toSorted()).toEqual([...b.tensors.keys()].toSorted());
    for (const [name, { dtype, shape }] of a.tensors) {
      expect(b.tensors.get(name)).toMatchObject({ dtype, shape });
      expect(await b.read(name)).toEqual(await a.read(name));
      expect(await b.readFloat32(name)).toEqual(await a.readFloat32(name));
    }
  });

  test('differ in how they lie', async () => {
    expect(strided(await open(pth)).map((info) => info.name)).toEqual([
      'embed.weight',
      'up.weight',
      'up.bias',
      'gate.weight',
      'down.weight',
    ]);
    expect(strided(await open(safetensors))).toEqual([]);
  });

  test.each([
    ['as built', (graph: Graph) => graph],
    ['with fused products and gated casts', (graph: Graph) => gateWeights(fuseProducts(graph))],
  ])('give the same outputs, those of PyTorch, %s', async (_, pass) => {
    const [a, b] = [await run(pth, pass), await run(safetensors, pass)];
    // PyTorch and ONNX Runtime sum six products in different orders
    expect(a).toBeAllClose(y, { rtol: 1e-5, atol: 1e-6 });
    expect(b).toBeAllClose(y, { rtol: 1e-5, atol: 1e-6 });
    // the same sums, but the library may choose another kernel for a transposed operand
    expect(a).toBeAllClose(b, { rtol: 1e-6, atol: 1e-6 });
  });
});
