import type { Graph, Node, Value } from '../graph.ts';

import { add, cast, mul, reciprocal, reduceMean, sqrt } from '../ops.ts';
import { type Rewriter, rewriteGraph } from '../rewrite.ts';

/**
 * Computes what is read of the second output of each SimplifiedLayerNormalization, `s = 1/√(mean(x²) + ε)`, by operators of
 * its own. The WebGPU provider of ONNX Runtime 1.30 leaves something else in that output (for x in [−2, 2) values of either
 * sign where all are positive), without an error.
 */
export function computeRmsDeviations(graph: Graph): Graph {
  return rewriteGraph(graph, (node, rewriter) => {
    if (node.op !== 'SimplifiedLayerNormalization' || node.outputs.length < 2) return undefined;
    return [...normalized(node, rewriter), deviation(node, rewriter)];
  }).graph;
}

function normalized({ op, inputs, attributes, name, domain, outputs }: Node, { target, mapAll }: Rewriter): Value[] {
  const [y] = outputs;
  const outputNames = y ? [y.name] : [];
  return target.node(op, mapAll(inputs), attributes, {
    name,
    domain,
    outputNames,
    outputs: 1,
    types: outputs.slice(0, 1),
  });
}

function deviation({ inputs: [input], attributes }: Node, { map }: Rewriter): Value {
  const x = cast(map(input as Value), 'float32');
  const axis = Number(attributes['axis'] ?? -1);
  const first = axis < 0 ? axis + x.shape.length : axis;
  const axes = x.shape.map((_, i) => i).slice(first);
  return reciprocal(sqrt(add(reduceMean(mul(x, x), axes), Number(attributes['epsilon'] ?? 1e-5))));
}
