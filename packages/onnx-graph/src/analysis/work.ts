import type { Graph, Node, Value } from '../graph.ts';

import { memoryUse } from './kernels.ts';
import { type Sizes, type Symbols, createSizes } from './sizes.ts';

/** A matrix product: `batch` times `[m, k]` by `[k, n]`. */
export interface Product {
  readonly batch: number;
  readonly m: number;
  readonly k: number;
  readonly n: number;
  /** Number type of what is multiplied; left out for float32. */
  readonly dtype?: 'float16' | 'bfloat16';
  /** The right side is a weight in so many bits, which the operator takes as it is. */
  readonly weightBits?: 8;
}

/** What one node has to do. */
export interface NodeWork {
  readonly node: Node;
  /** Multiplications and additions of products; one an element for other arithmetic; 0 for what only moves data. */
  readonly flops: number;
  /** Bytes read and written; 0 for views. */
  readonly bytes: number;
  /** The products in it; attention has two, and what is no product none. */
  readonly products: readonly Product[];
}

export const productFlops = ({ batch, m, k, n }: Product): number => 2 * batch * m * k * n;

/** What each node of a graph has to do for given lengths, in the order of the graph. */
export function graphWork(graph: Graph, symbols: Symbols): NodeWork[] {
  const sizes = createSizes(symbols);
  return graph.nodes.map((node) => {
    const products = productsOf(node, sizes);
    const isView = memoryUse(node, 0).views.length > 0;
    const values = [...node.inputs, ...node.outputs].filter((value): value is Value => value !== null);
    return {
      node,
      products,
      flops: products.length > 0 ? products.reduce((sum, p) => sum + productFlops(p), 0) : elementwise(node, sizes),
      bytes: isView ? 0 : values.reduce((sum, value) => sum + sizes.bytes(value), 0),
    };
  });
}

/** `-1` counts from the end. */
const at = (shape: readonly number[], index: number): number => shape.at(index) ?? 1;
const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

const narrow = ({ dtype }: Value): Pick<Product, 'dtype'> =>
  dtype === 'float16' || dtype === 'bfloat16' ? { dtype } : {};

function productsOf({ op, inputs, outputs, attributes }: Node, sizes: Sizes): Product[] {
  const [a, b] = inputs;
  const [y] = outputs;
  if (!a || !b || !y) return [];
  const [left, right, out] = [sizes.shape(a), sizes.shape(b), sizes.shape(y)];
  const isSet = (name: string) => attributes[name] === 1;
  const number = (name: string) => Number(attributes[name] ?? 1);
  switch (op) {
    case 'MatMul':
    case 'FusedMatMul':
    case 'Gemm': {
      const k = at(left, isSet('transA') ? -2 : -1);
      const [m, n] = [left.length > 1 ? at(out, -2) : 1, right.length > 1 ? at(out, -1) : 1];
      // A weight takes all rows at once.
      if (right.length <= 2) return [{ batch: 1, m: product(out) / n, k, n, ...narrow(a) }];
      return [{ batch: product(out) / (m * n), m, k, n, ...narrow(a) }];
    }
    case 'MatMulNBits':
      return [{ batch: 1, m: product(out) / number('N'), k: number('K'), n: number('N'), weightBits: 8 }];
    case 'Conv':
      // [outChannels, inChannels / groups, …kernel] by one column a position
      return [
        {
          batch: number('group'),
          m: at(right, 0) / number('group'),
          k: product(right.slice(1)),
          n: product(out) / at(out, 1),
        },
      ];
    case 'MultiHeadAttention':
    case 'Attention': {
      const [ofQueries, ofValues] =
        op === 'Attention' ? (['q_num_heads', 'kv_num_heads'] as const) : (['num_heads', 'num_heads'] as const);
      const heads = (shape: number[], name: string) => (shape.length === 4 ? at(shape, 1) : number(name));
      const width = (shape: number[], name: string) => at(shape, -1) / (shape.length === 4 ? 1 : number(name));
      const batch = at(left, 0) * heads(left, ofQueries);
      const [queries, keys] = [at(left, -2), at(right, -2)];
      const v = inputs[2] ? sizes.shape(inputs[2]) : right;
      return [
        { batch, m: queries, k: width(left, ofQueries), n: keys },
        { batch, m: queries, k: keys, n: width(v, ofValues) },
      ];
    }
    default:
      return [];
  }
}

const movement: ReadonlySet<string> = new Set(
  [
    'Reshape',
    'Squeeze',
    'Unsqueeze',
    'Flatten',
    'Identity',
    'Transpose',
    'Concat',
    'Split',
    'Slice',
    'Gather',
    'Expand',
  ].concat(['Shape', 'ConstantOfShape', 'Cast', 'Pad', 'Tile', 'Range']),
);

/** One an element of the largest tensor: of the input for reductions, of the output for broadcasts. */
function elementwise({ op, inputs, outputs }: Node, sizes: Sizes): number {
  if (movement.has(op)) return 0;
  const values = [...inputs, ...outputs].filter((value): value is Value => value !== null);
  return Math.max(0, ...values.map((value) => sizes.elements(value)));
}
