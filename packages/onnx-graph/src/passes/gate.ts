import type { Graph, Value } from '../graph.ts';

import { apply, cast, concat, int64s, reshape, slice } from '../ops.ts';
import { type Rewriter, rewriteGraph } from '../rewrite.ts';

/**
 * A value that is `x`, but can only be computed after all of `after`.
 *
 * ONNX Runtime runs nodes in the order of a depth-first walk from the outputs, which would start every recomputation and
 * every widening of a weight long before it is needed. Zero-length slices of `after` become part of a Reshape target
 * that copies every axis: exact, without arithmetic and without a copy of `x`.
 */
export const gate = (x: Value, after: readonly Value[]): Value => gateAll([x], after)[0] ?? x;

/** Several values behind one {@link gate}. */
export function gateAll(values: readonly Value[], after: readonly Value[]): Value[] {
  const targets = new Map<number, Value>();
  return values.map((x) => {
    const { graph, shape } = x;
    const copies = int64s(
      graph,
      shape.map(() => 0),
    );
    const target = targets.get(shape.length) ?? concat([copies, ...after.map(emptyAfter)], 0);
    targets.set(shape.length, target);
    const [gated] = graph.node('Reshape', [x, target], {}, { types: [{ dtype: x.dtype, shape }] });
    return gated ?? x;
  });
}

const empties = new WeakMap<Value, Value>();

/** An int64 vector of length 0 that exists only once `value` has been computed. */
function emptyAfter(value: Value): Value {
  const known = empties.get(value);
  if (known) return known;
  const { graph } = value;
  const none = slice(value.shape.length === 0 ? reshape(value, [1]) : value, 0, 0, 0);
  const flat = none.shape.length === 1 ? none : apply('Reshape', [none, int64s(graph, [0])], { allowzero: 1 });
  const empty = cast(flat, 'int64');
  empties.set(value, empty);
  return empty;
}

const products: ReadonlySet<string> = new Set(['MatMul', 'FusedMatMul', 'Gemm', 'Conv']);

/** What a model does to a stored weight before it multiplies by it; these make a copy, those only say it differently. */
const copies: ReadonlySet<string> = new Set(['Cast', 'Slice']);
const views: ReadonlySet<string> = new Set(['Squeeze', 'Unsqueeze']);

/**
 * Widens 16-bit weights, and cuts slices of weights, inside the step, each only when its product is about to run: the
 * weight in front of a `Cast` or `Slice` in front of a product is gated by the product's other operand. Ungated, all of
 * them would be there at once.
 */
export function gateWeights(graph: Graph): Graph {
  return rewriteGraph(graph, (node, rewriter) => {
    if (!products.has(node.op)) return undefined;
    const [left, right] = node.inputs;
    const areCopies = [left, right].map((v) => v && isCopyOfStored(v));
    if (!areCopies.some(Boolean)) return undefined;
    const inputs = rewriter.mapAll(node.inputs);
    [left, right].forEach((weight, i) => {
      const other = inputs[1 - i];
      if (weight && areCopies[i] && other && !areCopies[1 - i]) inputs[i] = copyGated(weight, other, rewriter);
    });
    return rewriter.target.node(node.op, inputs, node.attributes, {
      name: node.name,
      domain: node.domain,
      outputNames: node.outputs.map((v) => v.name),
    });
  }).graph;
}

function isCopyOfStored(value: Value, copied = false): boolean {
  if (value.kind === 'external') return copied;
  const { producer } = value;
  const [from] = producer?.inputs ?? [];
  if (!producer || !from || !(copies.has(producer.op) || views.has(producer.op))) return false;
  return isCopyOfStored(from, copied || copies.has(producer.op));
}

/** The same nodes again in the target, on the gated weight. */
function copyGated(value: Value, after: Value, rewriter: Rewriter): Value {
  const { producer } = value;
  const [from, ...others] = producer?.inputs ?? [];
  if (!producer || !from) return gate(rewriter.map(value), [after]);
  const inputs = [copyGated(from, after, rewriter), ...rewriter.mapAll(others)];
  const [copy] = rewriter.target.node(producer.op, inputs, producer.attributes, { types: producer.outputs });
  return copy ?? rewriter.map(value);
}
