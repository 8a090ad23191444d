import type { Graph, Node, Value } from '../graph.ts';

import { GraphError } from '../errors.ts';
import { clippedSlice, concat, mT, matmul, mul, softmax } from '../ops.ts';
import { rewriteGraph } from '../rewrite.ts';

/** Queries in pieces: `chunks` of `rows` each; the last one takes the rest, and pieces behind the end are empty. */
export interface AttentionChunks {
  readonly chunks: number;
  readonly rows: number;
}

/** How attention is computed: with all scores at once, or a piece of the queries at a time. */
export type AttentionPlan = 'whole' | AttentionChunks;

/**
 * Attention as matrix products around a softmax, which every provider has. `planOf` may choose for each node; undefined
 * leaves the node as it is.
 *
 * With chunks only the scores of one piece exist at a time. Bounds are constants that Slice clamps, so that one graph serves
 * all lengths of a symbolic sequence.
 */
export function lowerAttention(
  graph: Graph,
  planOf: AttentionPlan | ((node: Node) => AttentionPlan | undefined) = 'whole',
): Graph {
  return rewriteGraph(graph, (node, { map }) => {
    if (node.op !== 'Attention' || node.domain !== '') return undefined;
    const plan = typeof planOf === 'function' ? planOf(node) : planOf;
    if (plan === undefined) return undefined;
    const [q, k, v] = node.inputs.map((x) => x && map(x));
    const scale = Number(node.attributes['scale']);
    if (!q || !k || !v || !(scale > 0)) {
      throw new GraphError('BAD_ATTRIBUTE', node.name, `Attention with scale ${scale}.`, 'Give it a positive scale.');
    }
    const part = (rows: Value) => matmul(softmax(matmul(mul(rows, scale), mT(k))), v);
    return [plan === 'whole' ? part(q) : concat(attentionRows(q, plan).map(part), 2)];
  }).graph;
}

/** Pieces of `[B, H, S, …]` along the third axis. */
export function attentionRows(x: Value, { chunks, rows }: AttentionChunks): Value[] {
  if (chunks === 1) return [x];
  return Array.from({ length: chunks }, (_, i) =>
    clippedSlice(x, 2, i * rows, i === chunks - 1 ? Infinity : (i + 1) * rows),
  );
}
