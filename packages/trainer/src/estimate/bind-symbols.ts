import type { Graph, HostTensor } from '@musubi/onnx-graph';

/** The lengths that feeds give the symbols of a graph. */
export function bindSymbols(
  graph: Graph,
  feeds: Readonly<Record<string, Pick<HostTensor, 'shape'>>>,
): Map<string, number> {
  const symbols = new Map<string, number>();
  for (const { name, shape } of graph.inputs) {
    shape.forEach((dim, axis) => {
      const length = feeds[name]?.shape[axis];
      if (typeof dim === 'string' && length !== undefined) symbols.set(dim, length);
    });
  }
  return symbols;
}
