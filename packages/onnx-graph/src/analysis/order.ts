import type { Graph, Node } from '../graph.ts';

/**
 * The nodes in the order in which ONNX Runtime runs them one after another: a depth-first walk against the edges, from
 * the last node without a consumer to the first, that goes into the input made latest first.
 *
 * What its optimizer drops does not change the order of the rest.
 */
export function executionOrder(graph: Graph): Node[] {
  const index = new Map(graph.nodes.map((node, i) => [node, i]));
  const consumed = new Set(graph.nodes.flatMap((node) => node.inputs.flatMap((value) => value?.producer ?? [])));
  const stack = graph.nodes.filter((node) => !consumed.has(node)).map((node) => ({ node, isDone: false }));
  const visited = new Set<Node>();
  const order: Node[] = [];
  for (let entry = stack.pop(); entry !== undefined; entry = stack.pop()) {
    const { node, isDone } = entry;
    if (isDone) {
      order.push(node);
      continue;
    }
    if (visited.has(node)) continue;
    visited.add(node);
    stack.push({ node, isDone: true });
    const producers = new Set(node.inputs.flatMap((value) => value?.producer ?? []));
    const waiting = [...producers].filter((producer) => !visited.has(producer));
    for (const producer of waiting.toSorted((a, b) => (index.get(a) ?? 0) - (index.get(b) ?? 0))) {
      stack.push({ node: producer, isDone: false });
    }
  }
  return order;
}
