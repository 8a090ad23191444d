import type { Graph, Node, Value } from '../graph.ts';

import { type Rewriter, copyNode, rewriteGraph } from '../rewrite.ts';

/**
 * One node in place of several that apply the same operator to the same inputs. What is computed twice on purpose stays, for
 * its inputs wait behind another gate.
 *
 * ONNX Runtime does the same when it loads a graph; here it is part of what is planned, counted and written down. Nodes whose
 * results are outputs of the graph stay apart.
 */
export function mergeEqualNodes(graph: Graph): Graph {
  const results = new Set(graph.outputs.map(({ value }) => value));
  const numbers = new Map<Value, number>();
  const numberOf = (value: Value | null): number => {
    if (!value) return 0;
    const number = numbers.get(value) ?? numbers.size + 1;
    numbers.set(value, number);
    return number;
  };
  const made = new Map<string, readonly Value[]>();

  return rewriteGraph(graph, (node, rewriter) => {
    if (node.outputs.some((value) => results.has(value))) return undefined;
    const key = keyOf(node, rewriter, numberOf);
    const outputs = made.get(key) ?? copyNode(node, rewriter);
    made.set(key, outputs);
    return outputs;
  }).graph;
}

function keyOf(node: Node, { mapAll }: Rewriter, numberOf: (value: Value | null) => number): string {
  const { op, domain, attributes, inputs, outputs } = node;
  const sorted = Object.entries(attributes).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const types = outputs.map(({ dtype, shape }) => [dtype, shape]);
  return JSON.stringify([domain, op, sorted, mapAll(inputs).map(numberOf), types]);
}
