import type { NodeWork, Product } from '@musubi/onnx-graph/analysis';
import type { MemoryPlan, Runtime, SessionRequest } from '@musubi/runtime';

import {
  type DataType,
  Graph,
  type Value,
  apply,
  cast,
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

import { type DeviceSpeed, type Passage, mainProducts, passageOf, typicalElements } from '../../estimate/step-time.ts';

/** Time that all measurements together may take, loading aside. */
const budgetSeconds = 2;
const mostShapes = 8;
const passages: readonly Passage[] = ['arithmetic', 'function', 'softmax', 'transpose'];
/** Weights of a block of codes, as they are stored. */
const blockSize = 64;

/** A product is measured with fewer rows where it would take longer: its speed is the same. */
const largestProductFlops = 3e9;
const leastRows = 256;
/** Work of one run; below, what surrounds a run counts too much. */
const runFlops = 3e9;
const runBytes = 400e6;
/** So that the difference of two measurements is not their noise. */
const leastRepeats = 3;
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
  const codes = work.find(({ node }) => passageOf(node) === 'dequantize')?.node.inputs[0]?.dtype;
  const measuredPassages = [...passages, ...(codes === undefined ? [] : (['dequantize'] as const))];
  const each = budgetSeconds / (shapes.length + measuredPassages.length);
  const products: { product: Product; flopsPerSecond: number }[] = [];
  for (const product of shapes) {
    const measured = cut(product);
    const repeats = clamp(Math.round(runFlops / productFlops(measured)), leastRepeats, 50);
    const operands = measured.weightBits ? { ...where, externalData: { [codesFile]: zeroCodes(measured) } } : where;
    const build: Build = (graph) => (measured.weightBits ? codesProductOf : productOf)(graph, measured);
    const seconds = await secondsOf(runtime, build, { repeats, where: operands, budget: each });
    products.push({ product, flopsPerSecond: productFlops(measured) / seconds });
  }
  const elements = clamp(typicalElements(work), leastElements, mostElements);
  const secondsPerByte = { arithmetic: 0, function: 0, softmax: 0, transpose: 0, dequantize: 0 };
  for (const passage of measuredPassages) {
    const { bytes, build } = passes[passage](Math.ceil(elements / rowLength), codes);
    const repeats = clamp(Math.round(runBytes / bytes), leastRepeats, 200);
    secondsPerByte[passage] = (await secondsOf(runtime, build, { repeats, where, budget: each })) / bytes;
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

const codesFile = 'codes';
const bytesOfScales = ({ k, n }: Product): number => 4 * n * (k / blockSize);
const zeroCodes = (product: Product) => new Uint8Array(bytesOfScales(product) + product.n * product.k);

/** The 8-bit product; the weight lies in a file, or it would not be packed. */
function codesProductOf(graph: Graph, product: Product): ReturnType<Build> {
  const { m, k, n } = product;
  const [offset, blocks] = [bytesOfScales(product), k / blockSize];
  const scales = graph.external('scales', 'float32', [n, blocks], { location: codesFile, offset: 0, length: offset });
  const range = { location: codesFile, offset, length: n * k };
  const codes = graph.external('codes', 'uint8', [n, blocks, blockSize], range);
  const attributes = { K: k, N: n, bits: 8, block_size: blockSize, accuracy_level: 4 };
  return {
    operand: filled(graph, [1, m, k]),
    apply: (left) => apply('MatMulNBits', [left, codes, scales], attributes),
  };
}

const rowLength = 512;

/** One pass over a tensor of so many rows; bytes read and written. */
const passes: Readonly<Record<Passage, (rows: number, codes?: DataType) => { bytes: number; build: Build }>> = {
  arithmetic: (rows) => {
    return pass(3, rows, (graph, shape) => {
      const other = filled(graph, shape);
      return (x) => mul(x, other);
    });
  },
  function: (rows) => pass(2, rows, () => gelu),
  softmax: (rows) => pass(2, rows, () => softmax),
  transpose: (rows) => pass(2, rows, () => (x) => transpose(x, [0, 2, 1, 3])),
  // a code read and a float32 written, and a scale in blockSize
  dequantize: (rows, codes = 'uint8') => ({
    bytes: rows * rowLength * (1 + 4 + 4 / blockSize),
    build: (graph) => {
      const scales = filled(graph, [rows, rowLength / blockSize]);
      const zero = codes === 'uint8' ? [cast(scales, codes)] : [];
      const attributes = { axis: 1, block_size: blockSize };
      return {
        operand: cast(filled(graph, [rows, rowLength]), codes),
        apply: (x) => apply('DequantizeLinear', [x, scales, ...zero], attributes),
      };
    },
  }),
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
  const { operand, ...node } = build(graph);
  let last: Value | undefined;
  for (let i = 0; i < count; i++) {
    let result = node.apply(last ? gate(operand, [last]) : operand);
    result.shape.forEach((_, axis) => (result = slice(result, axis, 0, 1)));
    last = result;
  }
  if (last) graph.output('last', last);
  return graph;
}

type Where = Pick<SessionRequest, 'memory' | 'providers' | 'deviceId' | 'externalData'>;

/**
 * Seconds of one node: what a graph with more of them takes longer than one with fewer, so that making the operands, which
 * may be as large as the work itself, does not count.
 */
async function secondsOf(
  runtime: Runtime,
  build: Build,
  { repeats, where, budget }: { readonly repeats: number; readonly where: Where; readonly budget: number },
): Promise<number> {
  const few = await fastest(runtime, repeated(1, build), where, budget / 3);
  const many = await fastest(runtime, repeated(1 + repeats, build), where, (2 * budget) / 3);
  // On a machine that does something else too, the shorter one may take as long.
  return Math.max(many - few, many / (2 * (1 + repeats))) / repeats;
}

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
