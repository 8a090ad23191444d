import { describe, expect, test } from 'vitest';

import type { Case } from './operator-cases.ts';

import {
  Graph,
  cast,
  computeRmsDeviations,
  conv,
  createParams,
  encodeModel,
  fuseProducts,
  gate,
  gateWeights,
  linear,
  mT,
  matmul,
  mul,
  narrowProducts,
  nodesNeeded,
  reshape,
  rewriteGraph,
  slice,
  softmax,
  squeeze,
  tanh,
  transpose,
} from '../src/index.ts';
import { createRandom, interpret, randomTensor, tensor } from './interpreter/index.ts';
import { runOnRuntime } from './on-runtime.ts';
import { createCase, operatorCases } from './operator-cases.ts';
import { randomGraph } from './random-graph.ts';

const seeds = Array.from({ length: 25 }, (_, i) => 100 + i);
const operatorsOf = (graph: Graph) => graph.nodes.map((n) => n.op);

async function expectSame({ graph, feeds }: Case, rewritten: Graph, tolerance = 1e-12): Promise<void> {
  const expected = interpret(graph, feeds);
  const computed = interpret(rewritten, feeds);
  const run = await runOnRuntime(rewritten, feeds);
  expect(Object.keys(computed)).toEqual(Object.keys(expected));
  for (const [name, { shape, data }] of Object.entries(expected)) {
    expect(computed[name]?.shape).toEqual(shape);
    expect(computed[name]?.data).toBeAllClose(data, { rtol: tolerance, atol: tolerance });
    expect(run[name]?.data).toBeAllClose(data, { rtol: 1e-5, atol: 1e-5 });
  }
}

describe('rewriteGraph', () => {
  test.each(seeds)('copies random graph %i, leaving out what no output needs', async (seed) => {
    const example = randomGraph(seed);
    const { graph } = rewriteGraph(example.graph);
    await expectSame(example, graph);
    expect(graph.inputs.map((v) => v.name)).toEqual(example.graph.inputs.map((v) => v.name));
    expect(encodeModel(rewriteGraph(graph).graph)).toEqual(encodeModel(graph));
    const used = new Set([...graph.nodes.flatMap((n) => n.inputs), ...graph.outputs.map((o) => o.value)]);
    expect(graph.initializers.filter((v) => !used.has(v))).toEqual([]);
  });
});

describe('computeRmsDeviations', () => {
  const builds = operatorCases.get('SimplifiedLayerNormalization') ?? [];

  test.each(builds.map((build, i) => ({ i, build })))('reads no second output, case $i', async ({ build }) => {
    const example = createCase(1, build);
    const graph = computeRmsDeviations(example.graph);
    const outputs = graph.nodes.filter(({ op }) => op === 'SimplifiedLayerNormalization').map((node) => node.outputs);
    expect(outputs).toEqual([[expect.anything()]]);
    // ε is an attribute in one and a float32 constant in the other
    await expectSame(example, graph, 1e-8);
  });
});

describe('fuseProducts', () => {
  test.each(seeds)('computes what random graph %i computes', async (seed) => {
    const example = randomGraph(seed);
    await expectSame(example, fuseProducts(example.graph));
  });

  test('reads transposed and scaled operands in place', async () => {
    const example = createCase(1, (c) => {
      const [q, k] = [c.float(['B', 2, 'S', 4]), c.float(['B', 2, 'T', 4])];
      return softmax(matmul(mul(q, 0.5), mT(mul(0.25, k))));
    });
    const fused = fuseProducts(example.graph);
    expect(operatorsOf(fused)).toEqual(['FusedMatMul', 'Softmax']);
    expect(fused.nodes[0]?.attributes).toEqual({ transA: 0, transB: 1, alpha: 0.125 });
    await expectSame(example, fused);
  });

  test('writes a product transposed and scaled', async () => {
    const example = createCase(2, (c) => mul(3, mT(mul(matmul(c.float(['B', 4]), c.float([4, 3])), 0.5))));
    const fused = fuseProducts(example.graph);
    expect(operatorsOf(fused)).toEqual(['FusedMatMul']);
    expect(fused.nodes[0]?.attributes).toEqual({ transA: 1, transB: 1, alpha: 1.5 });
    await expectSame(example, fused);
  });

  test('keeps operands and products that something else needs', async () => {
    const example = createCase(2, (c) => {
      const scaled = mul(c.float(['B', 4]), 3);
      const product = matmul(scaled, c.float([4, 3]));
      return [tanh(scaled), product, mT(product)];
    });
    const fused = fuseProducts(example.graph);
    expect(operatorsOf(fused)).toEqual(['Mul', 'FusedMatMul', 'Tanh', 'Transpose']);
    await expectSame(example, fused);
  });

  test('leaves other permutations and 16-bit factors', async () => {
    const example = createCase(2, (c) => {
      const half = c.graph.constant({ dtype: 'float16', shape: [], data: Uint16Array.of(0x3800) });
      const [x, w] = [c.integer('int32', ['B', 4], -9, 9), c.integer('int32', [4, 3], -9, 9)];
      const product = matmul(mul(cast(x, 'float16'), half), cast(w, 'float16'));
      return [cast(product, 'float32'), matmul(transpose(c.float([4, 'S', 2]), [2, 1, 0]), c.float([4, 5]))];
    });
    const fused = fuseProducts(example.graph);
    expect(operatorsOf(fused)).toEqual(operatorsOf(example.graph));
    await expectSame(example, fused);
  });

  test('cancels two transposes', async () => {
    const example = createCase(3, (c) => matmul(mT(mT(c.float(['B', 3]))), c.float([3, 2])));
    expect(operatorsOf(fuseProducts(example.graph))).toEqual(['MatMul']);
    await expectSame(example, fuseProducts(example.graph));
  });
});

const fuse = (graph: Graph) => fuseProducts(graph, { product: 'Gemm' });

describe('fuseProducts into Gemm', () => {
  test.each(seeds)('computes what random graph %i computes', async (seed) => {
    const example = randomGraph(seed);
    await expectSame(example, fuse(example.graph));
  });

  test('reads transposed and scaled matrices in place', async () => {
    const example = createCase(1, (c) => mT(matmul(mT(c.float(['S', 4])), mul(c.float(['S', 3]), 0.5))));
    const fused = fuse(example.graph);
    expect(operatorsOf(fused)).toEqual(['Gemm']);
    expect(fused.nodes[0]?.attributes).toEqual({ transA: 1, transB: 0, alpha: 0.5 });
    await expectSame(example, fused);
  });

  test('takes the rows of all batches as those of one matrix rather than transpose the other one', async () => {
    const example = createCase(2, (c) => {
      const [x, w] = [c.float(['B', 'S', 4]), c.float([3, 4])];
      return [matmul(x, mT(w)), mul(matmul(mul(c.float([2, 'S', 5, 4]), 0.5), mT(w)), 3)];
    });
    const fused = fuse(example.graph);
    const products = fused.nodes.filter(({ op }) => op === 'Gemm');
    expect(products.map(({ attributes }) => attributes)).toEqual([
      { transA: 0, transB: 1, alpha: 1 },
      { transA: 0, transB: 1, alpha: 1.5 },
    ]);
    expect(operatorsOf(fused)).not.toContain('Transpose');
    expect(operatorsOf(fused)).not.toContain('MatMul');
    await expectSame(example, fused);
  });

  test('leaves the transposes of other products, of which two cancel', async () => {
    const example = createCase(2, (c) => {
      const [x, y] = [c.float(['B', 'S', 4]), c.float(['B', 3, 4])];
      return [matmul(x, mT(y)), matmul(x, mT(mT(c.float([4, 3])))), matmul(mul(x, 2), c.float([4, 3]))];
    });
    const fused = fuse(example.graph);
    expect(operatorsOf(fused)).toEqual(['Transpose', 'MatMul', 'MatMul', 'Mul', 'MatMul']);
    await expectSame(example, fused);
  });
});

describe('gate', () => {
  test.each([[['B', 3]], [[]], [[0, 2]], [['B', 'S', 2, 1]]])('is the identity on %j', async (shape) => {
    const { graph, feeds } = createCase(4, (c) => {
      const x = c.float(shape);
      const waits = [c.float(['S']), c.float([]), c.integer('int64', ['B', 'S'], 0, 9), c.integer('bool', [2], 0, 2)];
      return gate(x, waits);
    });
    expect(graph.outputs[0]?.value.shape).toEqual(shape);
    expect(interpret(graph, feeds)['y0']).toEqual(feeds['x0']);
    expect((await runOnRuntime(graph, feeds))['y0']).toEqual(feeds['x0']);
  });

  test('waits for what it names', () => {
    const graph = new Graph('example');
    const late = tanh(graph.input('y', 'float32', [5]));
    graph.output('x after y', gate(graph.input('x', 'float32', ['B', 3]), [late]));
    expect(nodesNeeded(graph)).toContain(late.producer);
  });
});

const external = () => tensor([3, 2], [1, 2, 3, 4, 5, 6]);

describe('gateWeights', () => {
  test('widens a weight after the other operand of its product is there', () => {
    const graph = new Graph('example');
    const range = { location: 'a', offset: 0, length: 24 };
    const p = createParams(graph, () => ({ dtype: 'bfloat16', shape: [4, 3], external: range }));
    const x = tanh(graph.input('x', 'float32', ['B', 3]));
    graph.output('y', linear(x, { ...p, has: () => false }, 3, 4));
    const gated = gateWeights(fuseProducts(graph));

    const product = gated.nodes.at(-1);
    const widened = product?.inputs[1]?.producer;
    expect([product?.op, widened?.op, widened?.inputs[0]?.producer?.op]).toEqual(['FusedMatMul', 'Cast', 'Reshape']);
    expect(operatorsOf(gated).indexOf('Tanh')).toBeLessThan(operatorsOf(gated).indexOf('Reshape'));

    const random = createRandom(1);
    const [feeds, weight] = [{ x: randomTensor(random, [2, 3]) }, randomTensor(random, [4, 3])];
    const options = { external: () => weight };
    expect(interpret(gated, feeds, options)).toEqual(interpret(graph, feeds, options));
  });

  test('gates a weight that a product reads through two transposes, as the gradient of a linear layer does', () => {
    const graph = new Graph('example');
    const w = graph.external('w', 'bfloat16', [3, 2], { location: 'a', offset: 0, length: 12 });
    graph.output('y', matmul(tanh(graph.input('x', 'float32', ['B', 3])), mT(mT(cast(w, 'float32')))));
    const gated = gateWeights(fuseProducts(graph));
    expect(operatorsOf(gated).filter((op) => ['Transpose', 'MatMul', 'FusedMatMul'].includes(op))).toEqual(['MatMul']);
    expect(gated.nodes.at(-1)?.inputs[1]?.producer?.inputs[0]?.producer?.op).toBe('Reshape');
  });

  test.each(['bfloat16', 'float32'] as const)('cuts a slice of a %s kernel after what it is folded with', (dtype) => {
    const graph = new Graph('example');
    const bytes = dtype === 'float32' ? 4 : 2;
    const w = graph.external('w', dtype, [2, 3, 3, 1], { location: 'a', offset: 0, length: 18 * bytes });
    const x = tanh(graph.input('x', 'float32', ['B', 3, 5]));
    graph.output('y', conv(x, squeeze(cast(slice(w, 2, 2), 'float32'), 3)));
    const gated = gateWeights(graph);

    const operators = operatorsOf(gated);
    expect(operators.filter((op) => op === 'Slice')).toHaveLength(2); // one is the gate's
    expect(operators.indexOf('Tanh')).toBeLessThan(operators.indexOf('Slice'));
    expect(gated.nodes.find((n) => n.inputs.includes(gated.find('w') ?? null))?.op).toBe('Reshape');

    const random = createRandom(2);
    const [feeds, kernel] = [{ x: randomTensor(random, [2, 3, 5]) }, randomTensor(random, [2, 3, 3, 1])];
    const options = { external: () => kernel };
    expect(interpret(gated, feeds, options)).toEqual(interpret(graph, feeds, options));
  });

  test('leaves products of float32 weights as they are', () => {
    const graph = new Graph('example');
    const x = graph.input('x', 'float32', ['B', 3]);
    const w = graph.external('w', 'float32', [3, 2], { location: 'a', offset: 0, length: 24 });
    graph.output('y', cast(matmul(x, w), 'float64'));
    expect(operatorsOf(gateWeights(graph))).toEqual(['MatMul', 'Cast']);
    expect(interpret(gateWeights(graph), { x: tensor([1, 3], [1, 0, 0]) }, { external })['y']).toEqual(
      tensor([1, 2], [1, 2]),
    );
  });
});

const narrow = (graph: Graph) => narrowProducts(graph, { dtype: 'float16' });
/** Each operator, with the type of what it gives. */
const types = ({ nodes }: Graph) => nodes.map(({ op, outputs }) => `${op} ${outputs[0]?.dtype.replace('float', '')}`);

describe('narrowProducts', () => {
  test('passes a result on to the next product as it is, also where it is moved', async () => {
    const graph = new Graph('chain');
    const x = graph.input('x', 'float32', ['t', 3]);
    const [a, b] = [graph.input('a', 'float32', [3, 2]), graph.input('b', 'float32', ['t', 4])];
    const turned = transpose(matmul(x, a), [1, 0]);
    graph.output('y', matmul(reshape(turned, [1, 2, 't']), b));
    const narrowed = narrow(graph);
    expect(types(narrowed).join(', ')).toBe(
      'Cast 16, Cast 16, MatMul 16, Transpose 16, Reshape 16, Cast 16, MatMul 16, Cast 32',
    );
    const random = createRandom(3);
    const feeds = { x: randomTensor(random, [5, 3]), a: randomTensor(random, [3, 2]), b: randomTensor(random, [5, 4]) };
    const [exact, found] = [interpret(graph, feeds), await runOnRuntime(narrowed, feeds)];
    expect(found['y']?.data).toBeAllClose(exact['y']?.data ?? [], { rtol: 2 ** -9, atol: 2 ** -9 });
  });

  test('narrows once what is read moved and unmoved, and leaves gates where they are', () => {
    const graph = new Graph('once');
    const x = tanh(graph.input('x', 'float32', [2, 2]));
    graph.output('y', matmul(x, mT(x)));
    expect(types(narrow(graph)).join(', ')).toBe('Tanh 32, Cast 16, Transpose 16, MatMul 16, Cast 32');
    const behind = new Graph('behind');
    const [a, b] = [behind.input('a', 'float32', [2, 2]), behind.input('b', 'float32', [2, 2])];
    const waiting = gate(a, [tanh(b)]);
    behind.output('y', matmul(waiting, b));
    const gated = narrow(behind).nodes.find((n) => n.op === 'MatMul')!.inputs[0]!;
    expect(gated.producer?.op).toBe('Cast');
    expect(gated.producer?.inputs[0]?.producer?.op).toBe('Reshape');
  });
});
