import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';

import { createMemoryModel, createSizes } from '../src/analysis.ts';
import {
  Graph,
  type Value,
  add,
  encodeModel,
  fuseProducts,
  gelu,
  layerNorm,
  mT,
  matmul,
  mul,
  reshape,
  softmax,
  transpose,
} from '../src/index.ts';

const [S, D, H] = [256, 64, 4];
const lengths = new Map([
  ['B', 1],
  ['S', S],
]);

/** Two blocks of attention and a wide layer, named or not; the probabilities are needed again at the end. */
function model(scopeOf: (block: number) => string = () => ''): Graph {
  const graph = new Graph('blocks');
  const input = (name: string, ...shape: (string | number)[]) => graph.input(name, 'float32', shape);
  const heads = (x: Value, name: string) =>
    transpose(reshape(matmul(x, input(name, D, D)), ['B', 'S', H, D / H]), [0, 2, 1, 3]);
  const tokens = (x: Value) => reshape(transpose(x, [0, 2, 1, 3]), ['B', 'S', D]);
  let x: Value = input('x', 'B', 'S', D);
  const kept: Value[] = [];
  for (let block = 0; block < 2; block++) {
    const from: Value = x;
    x = graph.within(scopeOf(block), () => {
      const p = softmax(mul(matmul(heads(from, `q${block}`), mT(heads(from, `k${block}`))), 0.25));
      kept.push(p);
      const y = layerNorm(add(from, tokens(matmul(p, heads(from, `v${block}`)))), 1e-6);
      return add(y, matmul(gelu(matmul(y, input(`up${block}`, D, 4 * D))), input(`down${block}`, 4 * D, D)));
    });
  }
  for (const [i, p] of kept.entries()) x = add(x, tokens(matmul(p, heads(x, `last${i}`))));
  graph.output('y', x);
  return graph;
}

test.each([
  ['a model', () => ''],
  ['a model with blocks', (block: number) => `blocks.${block}`],
])('order and bytes in use after each node of %s are those of a profile of ONNX Runtime', async (_name, scopeOf) => {
  const graph = fuseProducts(model(scopeOf));
  const folder = await mkdtemp(join(tmpdir(), 'musubi-analysis-'));
  try {
    const session = await InferenceSession.create(encodeModel(graph), {
      graphOptimizationLevel: 'basic',
      enableMemPattern: false,
      intraOpNumThreads: 1,
      logSeverityLevel: 3,
      enableProfiling: true,
      profileFilePrefix: join(folder, 'profile'),
    });
    const feeds = graph.inputs.map(({ name, shape }) => {
      const dims = createSizes(lengths).shape({ shape });
      return [name, new Tensor('float32', new Float32Array(dims.reduce((a, b) => a * b)).fill(0.1), dims)] as const;
    });
    await session.run(Object.fromEntries(feeds));
    session.endProfiling();
    await session.release();
    const [file = ''] = await readdir(folder);
    const events = JSON.parse(await readFile(join(folder, file), 'utf8')) as {
      name: string;
      args: Record<string, string>;
    }[];
    const real = events.filter(({ name }) => name.endsWith('_kernel_time'));

    const { steps } = createMemoryModel(graph).timeline(lengths);
    const names = real.map(({ name }) => name.replace(/_kernel_time$/, ''));
    // The optimizer drops some nodes: arithmetic of shapes that stands there twice.
    const ran = steps.filter(({ node }) => names.includes(node.name));
    expect(names.length).toBeGreaterThan(0.7 * steps.length);
    expect(ran.map(({ node }) => node.name)).toEqual(names);

    const at = (i: number) => Number(real[i]?.args['mem_bytes_requested_in_use']);
    const before = at(0) - Number(real[0]?.args['mem_requested_in_use_delta']);
    const measured = real.map((_, i) => at(i) - before);
    // Constants that the optimizer folds or shares differ by less than this.
    ran.forEach(({ liveBytes, node }, i) => {
      expect(Math.abs(liveBytes - (measured[i] ?? 0)), node.name).toBeLessThan(16384);
    });
    expect(Math.max(...measured)).toBeGreaterThan(2 ** 20);
  } finally {
    await rm(folder, { recursive: true });
  }
});
