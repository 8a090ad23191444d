import type { Graph, Node, Value } from '../graph.ts';

import { apply, cast, concat, int64s, slice } from '../ops.ts';
import { rewriteGraph } from '../rewrite.ts';

/**
 * Lets gates wait without the host.
 *
 * A gate is a Reshape whose target depends on what it waits for. Providers with memory of their own read targets on the
 * host, which would have to wait for the device at each gate. Here nothing is appended to the gated tensor instead:
 *
 *     gate(x, [a, b])  →  Concat(x, empty(a), empty(b))    along the first axis
 *
 * which costs a copy of `x` in the form in which it is stored. 8-bit floats stay as they are, for no provider joins them;
 * scales of `DequantizeLinear` wait for them.
 */
export function gateOnDevice(graph: Graph): Graph {
  return rewriteGraph(graph, (node, { target, map }) => {
    const [x] = node.inputs;
    const after = waitedFor(node);
    if (!x || !after || x.shape.length === 0 || x.dtype.startsWith('float8')) return undefined;
    const gated = map(x);
    const tail = gated.shape.slice(1);
    const known = tail.every((size) => typeof size === 'number');
    const shape = known
      ? int64s(target, [0, ...tail.map(Number)])
      : concat([int64s(target, [0]), slice(apply('Shape', [gated]), 0, 1, gated.shape.length)], 0);
    const nothing = after.map((value) => {
      const empty = cast(map(value), x.dtype);
      return target.node(
        'Reshape',
        [empty, shape],
        { allowzero: 1 },
        { types: [{ dtype: x.dtype, shape: [0, ...tail] }] },
      );
    });
    return target.node(
      'Concat',
      [gated, ...nothing.flat()],
      { axis: 0 },
      {
        name: node.name,
        outputNames: node.outputs.map(({ name }) => name),
        types: node.outputs,
      },
    );
  }).graph;
}

/** The zero-length slices in the target of a gate; undefined for other nodes. */
export function waitedFor(node: Node): readonly Value[] | undefined {
  const target = node.op === 'Reshape' ? node.inputs[1]?.producer : null;
  const [copies, ...slices] = target?.op === 'Concat' ? target.inputs : [];
  if (!copies?.data || slices.length === 0) return undefined;
  const found = slices.map((value) => value && emptySliceOf(value));
  return found.every((value) => value !== undefined && value !== null) ? (found as Value[]) : undefined;
}

/** `Cast(Reshape?(Slice(…)))` of length 0 in int64. */
function emptySliceOf(value: Value): Value | undefined {
  const { producer } = value;
  const from = producer?.op === 'Cast' ? producer.inputs[0] : undefined;
  const sliced = from?.producer?.op === 'Reshape' ? from.producer.inputs[0] : from;
  return sliced?.producer?.op === 'Slice' && sliced.shape.includes(0) ? sliced : undefined;
}
