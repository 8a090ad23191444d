import { expect, test } from 'vitest';

import { Graph, apply, cast, gelu, mT, matmul, mul, softmax, transpose } from '@musubi/onnx-graph';
import { graphWork } from '@musubi/onnx-graph/analysis';

import { type DeviceSpeed, graphSeconds, mainProducts, passageOf, typicalElements } from './step-time.ts';

const speed: DeviceSpeed = {
  products: [
    { product: { batch: 1, m: 512, k: 512, n: 512 }, flopsPerSecond: 1e11 },
    { product: { batch: 8, m: 512, k: 64, n: 512 }, flopsPerSecond: 5e10 },
  ],
  secondsPerByte: { arithmetic: 1e-10, function: 4e-10, softmax: 2e-10, transpose: 3e-10, dequantize: 9e-10 },
};

test('products take their time by the speed of the nearest shape, others by the bytes they move', () => {
  const graph = new Graph('time');
  const x = graph.input('x', 'float32', [500, 500]);
  const q = graph.input('q', 'float32', [8, 500, 70]);
  graph.output('y', matmul(x, x));
  graph.output('p', matmul(q, mT(q)));
  graph.output('z', mul(x, x));
  const nodes = 4 * 4e-6;
  const products = (2 * 500 ** 3) / 1e11 + (2 * 8 * 500 * 70 * 500) / 5e10;
  const moved = 4 * 2 * 8 * 500 * 70 * 3e-10 + 4 * 3 * 500 * 500 * 1e-10;
  expect(graphSeconds(graphWork(graph, new Map()), speed)).toBeCloseTo(nodes + products + moved, 12);
});

test('8-bit products have a speed of their own, where it was measured', () => {
  const graph = new Graph('codes');
  const [x, scales] = [graph.input('x', 'float32', [512, 512]), graph.input('scales', 'float32', [512, 8])];
  const codes = graph.input('codes', 'uint8', [512, 8, 64]);
  const attributes = { K: 512, N: 512, bits: 8, block_size: 64 };
  graph.output('y', apply('MatMulNBits', [x, codes, scales], attributes));
  graph.output('z', matmul(x, x));
  const work = graphWork(graph, new Map());
  const product = { batch: 1, m: 512, k: 512, n: 512 };
  expect(mainProducts(work, 1, 5)).toEqual([{ ...product, weightBits: 8 }, product]);
  const fast = { product: { ...product, weightBits: 8 }, flopsPerSecond: 4e11 } as const;
  const flops = 2 * 512 ** 3;
  expect(graphSeconds(work, speed)).toBeCloseTo(8e-6 + (2 * flops) / 1e11, 12);
  expect(graphSeconds(work, { ...speed, products: [...speed.products, fast] })).toBeCloseTo(
    8e-6 + flops / 4e11 + flops / 1e11,
    12,
  );
});

test('products in 16 bits too', () => {
  const graph = new Graph('narrow');
  const x = graph.input('x', 'float32', [512, 512]);
  const narrow = cast(x, 'float16');
  graph.output('y', matmul(x, x));
  graph.output('z', matmul(narrow, narrow));
  const work = graphWork(graph, new Map());
  const product = { batch: 1, m: 512, k: 512, n: 512 };
  expect(new Set(mainProducts(work, 1, 5))).toEqual(new Set([product, { ...product, dtype: 'float16' }]));
  const fast = { product: { ...product, dtype: 'float16' }, flopsPerSecond: 4e11 } as const;
  const flops = 2 * 512 ** 3;
  const withFast = { ...speed, products: [...speed.products, fast] };
  expect(graphSeconds(work, speed) - graphSeconds(work, withFast)).toBeCloseTo(flops / 1e11 - flops / 4e11, 12);
});

test.each([
  ['Softmax', 'softmax'],
  ['Transpose', 'transpose'],
  ['Gelu', 'function'],
  ['Add', 'arithmetic'],
  ['DequantizeLinear', 'dequantize'],
] as const)('%s is %s', (op, passage) => expect(passageOf({ op, inputs: [] })).toBe(passage));

test('a cast of 8-bit floats is as slow as their dequantization', () => {
  const graph = new Graph('cast');
  const codes = graph.external('codes', 'float8e4m3fn', [8], { location: 'a', offset: 0, length: 8 });
  expect(passageOf(cast(codes, 'float32').producer!)).toBe('dequantize');
  expect(passageOf(cast(graph.input('x', 'float32', [8]), 'float16').producer!)).toBe('arithmetic');
});

test('the main products are those with most work', () => {
  const graph = new Graph('main');
  const x = graph.input('x', 'float32', [512, 512]);
  const thin = graph.input('thin', 'float32', [512, 4]);
  graph.output('y', matmul(matmul(x, x), thin));
  const work = graphWork(graph, new Map());
  expect(mainProducts(work, 0.9, 5)).toEqual([{ batch: 1, m: 512, k: 512, n: 512 }]);
  expect(mainProducts(work, 1, 5)).toHaveLength(2);
  expect(mainProducts(work, 1, 1)).toHaveLength(1);
});

test('the typical tensor is of the size that most bytes are in', () => {
  const graph = new Graph('typical');
  const large = graph.input('large', 'float32', [1000, 1000]);
  graph.output('a', softmax(gelu(large)));
  graph.output('b', transpose(graph.input('small', 'float32', [10, 10]), [1, 0]));
  const elements = typicalElements(graphWork(graph, new Map()));
  expect(elements).toBeGreaterThan(0.6e6);
  expect(elements).toBeLessThan(1e6);
});
