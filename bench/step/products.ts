import { Graph, type Value, evaluateDim, gate, matmul, slice } from '../../packages/onnx-graph/src/index.ts';

/** The matrix products of a graph with the lengths of its symbols filled in, equal ones counted. */
export interface Product {
  readonly batch: number;
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly count: number;
}

export function productsOf(graph: Graph, symbols: ReadonlyMap<string, number>): Product[] {
  const found = new Map<string, Product>();
  for (const node of graph.nodes) {
    if (node.op !== 'MatMul' && node.op !== 'FusedMatMul') continue;
    const [left] = node.inputs;
    const [output] = node.outputs;
    const lengths = (shape: readonly (number | string)[] = []) => shape.map((d) => evaluateDim(d, symbols));
    const out = lengths(output?.shape);
    const k = lengths(left?.shape).at(node.attributes['transA'] === 1 ? -2 : -1) ?? 1;
    const [m = 1, n = 1] = out.slice(-2);
    const batch = out.slice(0, -2).reduce((a, b) => a * b, 1);
    const key = [batch, m, k, n].join('x');
    found.set(key, { batch, m, k, n, count: (found.get(key)?.count ?? 0) + 1 });
  }
  return [...found.values()];
}

export const flopsOf = ({ batch, m, k, n, count }: Product): number => 2 * batch * m * k * n * count;

/**
 * All products of a step and nothing else: ONNX Runtime's plain MatMul at the same shapes, as often as the step has them,
 * one after another. Of each result one number leaves; a gate orders the products and keeps equal ones apart.
 */
export function productsModel(products: readonly Product[]): Graph {
  const graph = new Graph('products');
  let last: Value | undefined;
  products.forEach(({ batch, m, k, n, count }, i) => {
    const a = graph.input(`a${i}`, 'float32', [batch, m, k]);
    const b = graph.input(`b${i}`, 'float32', batch === 1 ? [k, n] : [batch, k, n]);
    for (let use = 0; use < count; use++) {
      const product = matmul(last ? gate(a, [last]) : a, b);
      last = slice(slice(product, 1, 0, 1), 2, 0, 1);
    }
  });
  if (last) graph.output('last', last);
  return graph;
}
