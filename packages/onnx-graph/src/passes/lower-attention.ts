import type { Graph, Node, Value } from '../graph.ts';

import { GraphError } from '../errors.ts';
import { apply, clippedSlice, concat, mT, matmul, mul, reshape, softmax, transpose } from '../ops.ts';
import { rewriteGraph } from '../rewrite.ts';

/** Queries in pieces: `chunks` of `rows` each; the last one takes the rest, and pieces behind the end are empty. */
export interface AttentionChunks {
  readonly chunks: number;
  readonly rows: number;
}

/** How attention is computed: with all scores at once, or a piece of the queries at a time. */
export type AttentionPlan = 'whole' | AttentionChunks;

/** The same for a graph that only runs forward, which may leave it to the provider's own operator. */
export type ForwardAttentionPlan = AttentionPlan | 'fused';

/**
 * Attention as matrix products around a softmax, which every provider has. `planOf` may choose for each node; undefined
 * leaves the node as it is.
 *
 * With chunks only the scores of one piece exist at a time. Bounds are constants that Slice clamps, so that one graph serves
 * all lengths of a symbolic sequence.
 *
 * `fused` is `MultiHeadAttention`, which no gradient rule knows and whose scores exist for a few queries at a time. It takes
 * heads side by side, so the transposes that set them apart fall away.
 */
export function lowerAttention(
  graph: Graph,
  planOf: ForwardAttentionPlan | ((node: Node) => ForwardAttentionPlan | undefined) = 'whole',
): Graph {
  return rewriteGraph(graph, (node, { map }) => {
    const turnedBack = turnsHeads(node) ? headsBefore(map(node.inputs[0]!)) : undefined;
    if (turnedBack) return [turnedBack];
    if (node.op !== 'Attention' || node.domain !== '') return undefined;
    const plan = typeof planOf === 'function' ? planOf(node) : planOf;
    if (plan === undefined) return undefined;
    const [q, k, v] = node.inputs.map((x) => x && map(x));
    const scale = Number(node.attributes['scale']);
    if (!q || !k || !v || !(scale > 0)) {
      throw new GraphError('BAD_ATTRIBUTE', node.name, `Attention with scale ${scale}.`, 'Give it a positive scale.');
    }
    if (plan === 'fused') return [fused(q, k, v, scale)];
    const part = (rows: Value) => matmul(softmax(matmul(mul(rows, scale), mT(k))), v);
    return [plan === 'whole' ? part(q) : concat(attentionRows(q, plan).map(part), 2)];
  }).graph;
}

function fused(q: Value, k: Value, v: Value, scale: number): Value {
  const [[batch = 1, heads = 1, tokens = 1], width = 1] = [q.shape, v.shape[3]];
  const sideBySide = (x: Value) => {
    const [, , length = 1, size = 1] = x.shape;
    return reshape(headsBefore(x) ?? transpose(x, swapHeads), [batch, length, Number(heads) * Number(size)]);
  };
  const operands = [q, k, v].map(sideBySide);
  const y = apply('MultiHeadAttention', operands, { num_heads: Number(heads), scale });
  return transpose(reshape(y, [batch, tokens, heads, width]), swapHeads);
}

/** Between `[B, S, H, d]` and `[B, H, S, d]`. */
const swapHeads = [0, 2, 1, 3];

const turnsHeads = ({ op, attributes }: Node): boolean =>
  op === 'Transpose' && String(attributes['perm']) === String(swapHeads);

/** What a value was before its heads were swapped with its tokens. */
const headsBefore = ({ producer }: Value): Value | undefined =>
  producer && turnsHeads(producer) ? (producer.inputs[0] ?? undefined) : undefined;

/** Pieces of `[B, H, S, …]` along the third axis. */
export function attentionRows(x: Value, { chunks, rows }: AttentionChunks): Value[] {
  if (chunks === 1) return [x];
  return Array.from({ length: chunks }, (_, i) =>
    clippedSlice(x, 2, i * rows, i === chunks - 1 ? Infinity : (i + 1) * rows),
  );
}
