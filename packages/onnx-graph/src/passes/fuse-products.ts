import type { Graph, Node, Value } from '../graph.ts';

import { consumersOf, rewriteGraph } from '../rewrite.ts';

/**
 * Lets products read transposed operands in place: `A·Bᵀ` becomes one `FusedMatMul` (com.microsoft; CPU and CUDA), and a
 * constant factor on a product's operand becomes its `alpha`.
 */
export function fuseProducts(graph: Graph): Graph {
  const consumers = consumersOf(graph);
  return rewriteGraph(graph, (node, { target, map }) => {
    if (node.op !== 'MatMul') return undefined;
    const [left, right] = node.inputs.map((v) => (v ? absorb(v, consumers) : undefined));
    if (!left || !right) return undefined;
    const alpha = left.factor * right.factor;
    if (!left.transposed && !right.transposed && alpha === 1) return undefined;
    return target.node(
      'FusedMatMul',
      [map(left.value), map(right.value)],
      { transA: left.transposed ? 1 : 0, transB: right.transposed ? 1 : 0, alpha },
      { name: node.name, outputNames: [node.outputs[0]?.name ?? node.name] },
    );
  }).graph;
}

interface Operand {
  readonly value: Value;
  readonly transposed: boolean;
  readonly factor: number;
}

/** Looks through a transpose of the last two axes and a constant factor, in either order. */
function absorb(value: Value, consumers: (value: Value) => readonly Node[]): Operand {
  let operand: Operand = { value, transposed: false, factor: 1 };
  for (;;) {
    const node = operand.value.producer;
    const [inner, other] = node?.inputs ?? [];
    if (!node || !inner) return operand;
    if (node.op === 'Transpose' && swapsLastTwo(node)) {
      operand = { ...operand, value: inner, transposed: !operand.transposed };
    } else if (node.op === 'Mul' && other && consumers(operand.value).length === 1) {
      const [x, factor] = [scalarOf(other), scalarOf(inner)];
      if (x !== undefined) operand = { ...operand, value: inner, factor: operand.factor * x };
      else if (factor !== undefined) operand = { ...operand, value: other, factor: operand.factor * factor };
      else return operand;
    } else {
      return operand;
    }
  }
}

function swapsLastTwo(node: Node): boolean {
  const perm = node.attributes['perm'];
  if (!Array.isArray(perm)) return false;
  const rank = perm.length;
  return rank >= 2 && perm.every((p, i) => p === (i < rank - 2 ? i : 2 * rank - 3 - i));
}

function scalarOf(value: Value): number | undefined {
  if (value.shape.length !== 0 || !value.data) return undefined;
  return Number(value.data.data[0]);
}
