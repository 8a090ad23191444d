import type { Graph, Node, Value } from '../graph.ts';

import { apply, cast, concat, int64s, reshape, slice } from '../ops.ts';
import { rewriteGraph } from '../rewrite.ts';

/**
 * A value that is `x`, but can only be computed after all of `after`.
 *
 * ONNX Runtime runs nodes in the order of a depth-first walk from the outputs, which would start every recomputation and
 * every widening of a weight long before it is needed. Zero-length slices of `after` become part of a Reshape target
 * that copies every axis: exact, without arithmetic and without a copy of `x`.
 */
export function gate(x: Value, after: readonly Value[]): Value {
  const { graph } = x;
  const copies = int64s(
    graph,
    x.shape.map(() => 0),
  );
  const target = concat([copies, ...after.map(emptyAfter)], 0);
  const [gated] = graph.node('Reshape', [x, target], {}, { types: [{ dtype: x.dtype, shape: x.shape }] });
  return gated ?? x;
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

const products: ReadonlySet<string> = new Set(['MatMul', 'FusedMatMul', 'Gemm']);

/**
 * Widens 16-bit weights inside the step, each only when its product is about to run: a `Cast` of a weight in front of a
 * product is gated by the product's other operand. Ungated, all of them would be wide at once.
 */
export function gateWeights(graph: Graph): Graph {
  return rewriteGraph(graph, (node, { target, mapAll }) => {
    if (!products.has(node.op)) return undefined;
    const [left, right] = node.inputs;
    const weights = [left, right].map((v) => (v ? storedBehindCast(v) : undefined));
    if (weights.every((w) => w === undefined)) return undefined;
    const inputs = mapAll(node.inputs);
    weights.forEach((weight, i) => {
      const other = inputs[1 - i];
      if (weight && other && !weights[1 - i]) inputs[i] = cast(gate(weightOf(inputs[i], weight), [other]), other.dtype);
    });
    return target.node(node.op, inputs, node.attributes, {
      name: node.name,
      domain: node.domain,
      outputNames: node.outputs.map((v) => v.name),
    });
  }).graph;
}

function storedBehindCast(value: Value): Value | undefined {
  const node: Node | null = value.producer;
  const [stored] = node?.inputs ?? [];
  return node?.op === 'Cast' && stored?.kind === 'external' ? stored : undefined;
}

/** The target's copy of the weight: the input of its copied Cast. */
function weightOf(widened: Value | null | undefined, weight: Value): Value {
  return widened?.producer?.inputs[0] ?? weight;
}
