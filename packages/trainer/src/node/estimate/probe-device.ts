import type { NodeWork, Product } from '@musubi/onnx-graph/analysis';
import type { MemoryPlan, Runtime, SessionRequest } from '@musubi/runtime';

import {
  Graph,
  type Value,
  encodeModel,
  expand,
  gate,
  gelu,
  matmul,
  mul,
  slice,
  softmax,
  transpose,
} from '@musubi/onnx-graph';
import { productFlops } from '@musubi/onnx-graph/analysis';

import type { Device } from '../choose-device.ts';

import { type DeviceSpeed, type Passage, mainProducts, typicalElements } from '../../estimate/step-time.ts';

/** Time that all measurements together may take, loading aside. */
const budgetSeconds = 2;
const mostShapes = 8;
const passages: readonly Passage[] = ['arithmetic', 'function', 'softmax', 'transpose'];

/** A product is measured with fewer rows where it would take longer: its speed is the same. */
const largestProductFlops = 3e9;
const leastRows = 256;
/** Work of one run; below, what surrounds a run counts too much. */
const runFlops = 3e9;
const runBytes = 400e6;
const [leastElements, mostElements] = [2 ** 14, 2 ** 24];

/** Measures how fast the device does what `work` consists of: its main products, and passes over its tensors. */
export async function probeDevice(
  runtime: Runtime,
  work: readonly NodeWork[],
  memory: MemoryPlan,
  { provider, deviceId }: Device,
): Promise<DeviceSpeed> {
  const where = { memory, providers: [provider], deviceId };
  const shapes = mainProducts(work, 0.97, mostShapes);
  const each = budgetSeconds / (shapes.length + passages.length);
  const products: { product: Product; flopsPerSecond: number }[] = [];
  for (const product of shapes) {
    const measured = cut(product);
    const repeats = clamp(Math.round(runFlops / productFlops(measured)), 1, 50);
    const seconds = await fastest(
      runtime,
      repeated(repeats, (graph) => productOf(graph, measured)),
      where,
      each,
    );
    products.push({ product, flopsPerSecond: (repeats * productFlops(measured)) / seconds });
  }
  const elements = clamp(typicalElements(work), leastElements, mostElements);
  const secondsPerByte = { arithmetic: 0, function: 0, softmax: 0, transpose: 0 };
  for (const passage of passages) {
    const { bytes, build } = passes[passage](Math.ceil(elements / rowLength));
    const repeats = clamp(Math.round(runBytes / bytes), 1, 200);
    secondsPerByte[passage] = (await fastest(runtime, repeated(repeats, build), where, each)) / (repeats * bytes);
  }
  return { products, secondsPerByte };
}

function cut(product: Product): Product {
  const batch = Math.max(
    1,
    Math.min(product.batch, Math.floor(largestProductFlops / productFlops({ ...product, batch: 1 }))),
  );
  const share = Math.min(1, largestProductFlops / productFlops({ ...product, batch }));
  return { ...product, batch, m: Math.min(product.m, Math.max(leastRows, Math.floor(product.m * share))) };
}

/** Makes, from its first operand, a node to be timed. */
type Build = (graph: Graph) => { readonly operand: Value; readonly apply: (operand: Value) => Value };

/** A tensor of one number, without a feed of its size. */
function filled(graph: Graph, shape: readonly number[]): Value {
  const one = graph.find('one') ?? graph.input('one', 'float32', [1]);
  return expand(one, shape);
}

const productOf = (graph: Graph, { batch, m, k, n }: Product): ReturnType<Build> => {
  const right = filled(graph, batch === 1 ? [k, n] : [batch, k, n]);
  return { operand: filled(graph, [batch, m, k]), apply: (left) => matmul(left, right) };
};

const rowLength = 512;

/** One pass over a tensor of so many rows; bytes read and written. */
const passes: Readonly<Record<Passage, (rows: number) => { bytes: number; build: Build }>> = {
  arithmetic: (rows) => {
    return pass(3, rows, (graph, shape) => {
      const other = filled(graph, shape);
      return (x) => mul(x, other);
    });
  },
  function: (rows) => pass(2, rows, () => gelu),
  softmax: (rows) => pass(2, rows, () => softmax),
  transpose: (rows) => pass(2, rows, () => (x) => transpose(x, [0, 2, 1, 3])),
};

function pass(
  tensors: number,
  rows: number,
  operator: (graph: Graph, shape: readonly number[]) => (x: Value) => Value,
): { bytes: number; build: Build } {
  const shape = [1, rows, 8, rowLength / 8];
  return {
    bytes: 4 * tensors * rows * rowLength,
    build: (graph) => ({ operand: filled(graph, shape), apply: operator(graph, shape) }),
  };
}

/** The same node again and again, one after another; gates keep equal ones apart. Of each result one number leaves. */
function repeated(count: number, build: Build): Graph {
  const graph = new Graph('probe');
  const { operand, apply } = build(graph);
  let last: Value | undefined;
  for (let i = 0; i < count; i++) {
    let result = apply(last ? gate(operand, [last]) : operand);
    result.shape.forEach((_, axis) => (result = slice(result, axis, 0, 1)));
    last = result;
  }
  if (last) graph.output('last', last);
  return graph;
}

type Where = Pick<SessionRequest, 'memory' | 'providers' | 'deviceId'>;

/** Seconds of the fastest run in `seconds`, at least two after one to warm up. */
async function fastest(runtime: Runtime, graph: Graph, where: Where, seconds: number): Promise<number> {
  const session = await runtime.createSession({ label: 'probe', model: encodeModel(graph), ...where });
  const feeds = { one: { dtype: 'float32', shape: [1], data: Float32Array.of(1) } } as const;
  try {
    await session.run(feeds);
    let best = Infinity;
    const end = performance.now() + 1000 * seconds;
    for (let run = 0; run < 2 || performance.now() < end; run++) {
      const start = performance.now();
      await session.run(feeds);
      best = Math.min(best, (performance.now() - start) / 1000);
    }
    return best;
  } finally {
    await session.release();
  }
}

const clamp = (x: number, least: number, most: number): number => Math.min(most, Math.max(least, x));
