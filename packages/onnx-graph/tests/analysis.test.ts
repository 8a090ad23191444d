import { expect, test } from 'vitest';

import {
  createMemoryModel,
  executionOrder,
  graphWork,
  operatorCounts,
  packedWeightBytes,
  symbolsOf,
  weightSummary,
} from '../src/analysis.ts';
import { Graph, add, cast, exp, gate, mT, matmul, mul, reshape, slice, softmax, transpose } from '../src/index.ts';

const row = 4 * 256; // bytes of a float32 vector of 256
const lengths = (S: number) => new Map([['S', S]]);

function chain(): Graph {
  const graph = new Graph('chain');
  const x = graph.input('x', 'float32', ['S', 256]);
  const a = exp(x);
  const b = exp(a);
  graph.output('y', exp(b));
  return graph;
}

test('two values are alive while one is made from the other, and an output has memory of its own', () => {
  const { steps, peakLiveBytes } = createMemoryModel(chain(), { arena: false }).timeline(lengths(1));
  expect(steps.map(({ liveBytes }) => liveBytes)).toEqual([row, 2 * row, 2 * row]);
  expect(peakLiveBytes).toBe(2 * row);
});

test('sizes follow the lengths of the symbols', () => {
  const model = createMemoryModel(chain(), { arena: false });
  expect(model.timeline(lengths(10)).peakLiveBytes).toBe(20 * row);
  expect(() => model.timeline(new Map())).toThrow(
    expect.objectContaining({ name: 'GraphError', code: 'BAD_DIMENSION' }),
  );
  expect(symbolsOf(chain())).toEqual(['S']);
});

test('views take no memory, whether of a value, an input or a weight', () => {
  const graph = new Graph('views');
  const x = graph.input('x', 'float32', [2, 256]);
  const w = graph.external('w', 'float32', [256, 4], { location: 'w', offset: 0, length: 4096 });
  const y = matmul(reshape(exp(x), [512 / 256, 256]), reshape(w, [256, 4]));
  graph.output('y', y);
  const { peakLiveBytes } = createMemoryModel(graph, { arena: false }).timeline(new Map());
  expect(peakLiveBytes).toBe(2 * row + 2 * 4 * 4);
});

const liveAroundSoftmax = (isKept: boolean) => {
  const graph = new Graph('softmax');
  const scores = exp(graph.input('x', 'float32', [8, 256]));
  const p = softmax(scores);
  graph.output('y', isKept ? add(scores, p) : add(p, graph.input('z', 'float32', [8, 256])));
  return createMemoryModel(graph, { arena: false })
    .timeline(new Map())
    .steps.map(({ liveBytes }) => liveBytes);
};

test('softmax is written over its input unless something else needs that', () => {
  const size = 8 * row;
  expect(liveAroundSoftmax(false)).toEqual([size, size, 2 * size]);
  expect(liveAroundSoftmax(true)).toEqual([size, 2 * size, 3 * size]);
});

/** Bytes alive while a number made from a dead tensor waits to be added to `x`. */
const liveBetween = (shape: ['S', number] | [number, number]) => {
  const graph = new Graph('reuse');
  const x = graph.input('x', 'float32', ['S', 256]);
  const first = exp(graph.input('z', 'float32', shape));
  const one = exp(slice(slice(first, 0, 0, 1), 1, 0, 1)); // first is dead now
  graph.output('y', slice(add(x, one), 1, 0, 1));
  const { steps } = createMemoryModel(graph, { arena: false }).timeline(lengths(4));
  return steps.find(({ node }) => node === one.producer)?.liveBytes;
};

test('memory of a dead value is kept for a later one of the same shape, not for one that only comes out as large', () => {
  expect(liveBetween(['S', 256])).toBe(4 * row + 2 * 4);
  expect(liveBetween([4, 256])).toBe(2 * 4);
});

const peakOfWideWeights = (isGated: boolean) => {
  const graph = new Graph('gated');
  let x = graph.input('x', 'float32', ['S', 256]);
  for (let i = 0; i < 3; i++) {
    const w = graph.external(`w${i}`, 'float16', [256, 256], { location: 'w', offset: 0, length: 2 * 65536 });
    x = matmul(x, cast(isGated ? gate(w, [x]) : w, 'float32'));
  }
  graph.output('y', x);
  return createMemoryModel(graph, { arena: false }).timeline(lengths(1)).peakLiveBytes;
};

test('a gated weight is wide only while its product runs', () => {
  const wide = 4 * 65536;
  expect(peakOfWideWeights(true)).toBeLessThan(1.1 * wide);
  expect(peakOfWideWeights(false)).toBeGreaterThan(3 * wide - 1);
});

test('nodes run in the order of a walk from the outputs that goes into the latest input first', () => {
  const graph = new Graph('order');
  const x = graph.input('x', 'float32', [4]);
  const early = exp(x);
  const late = mul(x, 2);
  graph.output('y', add(early, late));
  expect(executionOrder(graph).map(({ op }) => op)).toEqual(['Mul', 'Exp', 'Add']);
});

test('the arena keeps what several lengths have left behind', () => {
  const model = createMemoryModel(chain());
  const [short, long] = [model.peakBytesOf([lengths(1000)]), model.peakBytesOf([lengths(3000)])];
  const both = model.peakBytesOf([lengths(1000), lengths(3000)]);
  expect(long).toBeGreaterThanOrEqual(model.timeline(lengths(3000)).peakLiveBytes);
  expect(both).toBeGreaterThanOrEqual(Math.max(short, long));
});

test('products are counted once for each multiplication and each addition', () => {
  const graph = new Graph('work');
  const x = graph.input('x', 'float32', [2, 'S', 64]);
  const w = graph.external('w', 'float32', [64, 32], { location: 'w', offset: 0, length: 8192 });
  const y = matmul(x, w); // [2, S, 32]
  const scores = matmul(y, mT(y)); // [2, S, S]
  graph.output('p', softmax(scores));
  const work = graphWork(graph, lengths(10));
  expect(work.map(({ node, flops }) => [node.op, flops])).toEqual([
    ['MatMul', 2 * 2 * 10 * 64 * 32],
    ['Transpose', 0],
    ['MatMul', 2 * 2 * 10 * 32 * 10],
    ['Softmax', 2 * 10 * 10],
  ]);
  // A weight multiplies all rows at once.
  expect(work[0]?.products).toEqual([{ batch: 1, m: 20, k: 64, n: 32 }]);
  expect(work[2]?.products).toEqual([{ batch: 2, m: 10, k: 32, n: 10 }]);
  expect(work[0]?.bytes).toBe(4 * (2 * 10 * 64 + 64 * 32 + 2 * 10 * 32));
});

const types = (...shape: number[]) => ({ types: [{ dtype: 'float32' as const, shape }] });

test('convolutions, quantized products and attention are products', () => {
  const graph = new Graph('products');
  const f32 = (name: string, ...shape: (string | number)[]) => graph.input(name, 'float32', shape);
  const values = [
    graph.node('Conv', [f32('x', 1, 8, 16, 16), f32('w', 32, 8, 3, 3)], { pads: [1, 1, 1, 1] }),
    graph.node('MatMulNBits', [f32('a', 5, 128), graph.input('b', 'uint8', [64, 2, 64]), f32('scale', 64, 2)], {
      K: 128,
      N: 64,
      bits: 8,
      block_size: 64,
    }),
    graph.node(
      'Attention',
      [f32('q', 1, 4, 10, 16), f32('k', 1, 4, 20, 16), f32('v', 1, 4, 20, 16)],
      {},
      types(1, 4, 10, 16),
    ),
  ];
  values.forEach(([value], i) => value && graph.output(`y${i}`, value));
  expect(graphWork(graph, new Map()).map(({ flops }) => flops)).toEqual([
    2 * 32 * (8 * 9) * 256,
    2 * 5 * 128 * 64,
    2 * 4 * 10 * 20 * 16 * 2,
  ]);
  // scores, and a copy of the weight in float32
  const { steps } = createMemoryModel(graph, { arena: false }).timeline(new Map());
  const at = (op: string) => steps.find(({ node }) => node.op === op)?.liveBytes ?? 0;
  expect(at('Attention')).toBe(4 * (4 * 10 * 16 + 4 * 10 * 20));
  expect(at('MatMulNBits')).toBeGreaterThan(4 * 128 * 64);
});

test('weights are summed by element type and file, and packed once for each way in which they multiply', () => {
  const graph = new Graph('weights');
  const x = graph.input('x', 'float32', ['S', 64]);
  const w = graph.external('w', 'float32', [64, 64], { location: 'a', offset: 0, length: 16384 });
  const half = graph.external('h', 'float16', [64, 64], { location: 'b', offset: 0, length: 8192 });
  const y = matmul(matmul(x, w), w);
  const [z] = graph.node('FusedMatMul', [y, w], { transB: 1 });
  graph.output('y', matmul(z ?? y, cast(half, 'float32')));
  const summary = weightSummary(graph);
  expect([...summary.byDtype]).toEqual([
    ['float32', 16384],
    ['float16', 8192],
  ]);
  expect([...summary.byFile]).toEqual([
    ['a', 16384],
    ['b', 8192],
  ]);
  expect(summary.bytes).toBe(24576);
  expect(packedWeightBytes(graph)).toBe(2 * 16384);
  expect([...operatorCounts(graph)]).toEqual([
    ['MatMul', 3],
    ['Cast', 1],
    ['com.microsoft.FusedMatMul', 1],
  ]);
});

test('transposes only move data', () => {
  const graph = new Graph('moves');
  graph.output('y', transpose(graph.input('x', 'float32', [2, 3]), [1, 0]));
  expect(graphWork(graph, new Map())).toMatchObject([{ flops: 0, bytes: 48, products: [] }]);
});
