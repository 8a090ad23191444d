import { type Graph, type Value, rewriteGraph } from '@musubi/onnx-graph';
import { createSizes } from '@musubi/onnx-graph/analysis';

/** In place of the file of weights that are in none. */
const folded = 'folded';

/**
 * A graph as ONNX Runtime has it once it is loaded with its constants folded: what depends on weights alone is a weight,
 * in the type and the shape of the result.
 */
export function loadedGraph(graph: Graph): Graph {
  const known = new Set<Value>(graph.initializers);
  return rewriteGraph(graph, ({ inputs, outputs }, { target }) => {
    const hasLengths = outputs.every(({ shape }) => shape.every((dim) => typeof dim === 'number'));
    if (!hasLengths || !inputs.every((input) => input === null || known.has(input))) return undefined;
    return outputs.map((value) => {
      known.add(value);
      const range = { location: folded, offset: 0, length: bytesOf(value) };
      return target.external(value.name, value.dtype, value.shape.map(Number), range);
    });
  }).graph;
}

const bytesOf = (value: Value): number => createSizes(new Map()).bytes(value);

/** Bytes of the weights of a graph, each once and as it is stored: what a device holds of them. */
export const weightBytes = ({ initializers }: Pick<Graph, 'initializers'>): number =>
  initializers.reduce((sum, value) => sum + bytesOf(value), 0);

/** Of them, what ONNX Runtime computes as it loads the graph. */
export const foldedBytes = ({ initializers }: Graph): number =>
  weightBytes({ initializers: initializers.filter(({ external }) => external?.location === folded) });
