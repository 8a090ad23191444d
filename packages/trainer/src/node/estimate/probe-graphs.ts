import type { Product } from '@musubi/onnx-graph/analysis';

import {
  type DataType,
  Graph,
  type Value,
  apply,
  cast,
  expand,
  gate,
  gelu,
  matmul,
  mul,
  slice,
  softmax,
  transpose,
} from '@musubi/onnx-graph';

import type { Passage } from '../../estimate/step-time.ts';

/** Weights of a block of codes, as they are stored. */
const blockSize = 64;

/** Makes, from its first operand, a node to be timed. */
export type Build = (graph: Graph) => { readonly operand: Value; readonly apply: (operand: Value) => Value };

/** A tensor of one number, without a feed of its size. */
function filled(graph: Graph, shape: readonly number[]): Value {
  const one = graph.find('one') ?? graph.input('one', 'float32', [1]);
  return expand(one, shape);
}

/** A product with operands of its number type. */
export function productOf(graph: Graph, { batch, m, k, n, ...product }: Product): ReturnType<Build> {
  const dtype = product.dtype ?? 'float32';
  const right = cast(filled(graph, batch === 1 ? [k, n] : [batch, k, n]), dtype);
  return { operand: cast(filled(graph, [batch, m, k]), dtype), apply: (left) => matmul(left, right) };
}

export const codesFile = 'codes';
const bytesOfScales = ({ k, n }: Product): number => 4 * n * (k / blockSize);
export const zeroCodes = (product: Product) => new Uint8Array(bytesOfScales(product) + product.n * product.k);

/** The 8-bit product; the weight lies in a file, or it would not be packed. */
export function codesProductOf(graph: Graph, product: Product): ReturnType<Build> {
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

export const rowLength = 512;

/** One pass over a tensor of so many rows; bytes read and written. */
export const passes: Readonly<Record<Passage, (rows: number, codes?: DataType) => { bytes: number; build: Build }>> = {
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
    build: (graph) => {
      const compute = operator(graph, shape);
      // Read once more, as by the node that comes next: a result that nothing reads leaves room in the cache.
      return { operand: filled(graph, shape), apply: (x) => slice(compute(x), 0, 0, 1) };
    },
  };
}

/** The same node again and again, one after another; gates keep equal ones apart. Of each result one number leaves. */
export function repeated(count: number, build: Build): Graph {
  const graph = new Graph('probe');
  const { operand, ...node } = build(graph);
  let last: Value | undefined;
  for (let i = 0; i < count; i++) {
    let result = node.apply(last ? gate(operand, [last]) : operand);
    // Along an axis of length 1 all of it would be copied.
    result.shape.forEach((length, axis) => (result = length === 1 ? result : slice(result, axis, 0, 1)));
    last = cast(result, 'float32');
  }
  if (last) graph.output('last', last);
  return graph;
}
