import type { Node, Value } from './graph.ts';

import { GraphError } from './errors.ts';
import { Graph, constantStem } from './graph.ts';

/** What a rewriting step sees of the graph it reads and the one it writes. */
export interface Rewriter {
  readonly target: Graph;
  /** The target's value for a value of the source. */
  map(value: Value): Value;
  mapAll(values: readonly (Value | null)[]): (Value | null)[];
}

/** Emits replacements into `rewriter.target` and returns one value an output, or undefined to copy the node. */
export type Visit = (node: Node, rewriter: Rewriter) => readonly Value[] | undefined;

/**
 * A new graph in which every node that an output needs has been copied or replaced. Inputs, outputs, names, scopes and
 * metadata stay; nodes and weights that no output needs any more are left out.
 */
export function rewriteGraph(source: Graph, visit: Visit = () => undefined): { graph: Graph; map: Rewriter['map'] } {
  const target = new Graph(source.name);
  const mapped = new Map<Value, Value>();
  Object.assign(target.metadata, source.metadata);
  target.reserve(source.nodes.flatMap((n) => [n.name, ...n.outputs.map((v) => v.name)]));
  for (const input of source.inputs) mapped.set(input, target.input(input.name, input.dtype, input.shape));

  const map = (value: Value): Value => {
    const known = mapped.get(value);
    if (known) return known;
    if (value.kind === 'node' || value.kind === 'input') {
      throw new GraphError('UNKNOWN_VALUE', value.name, 'it has not been copied.', 'Is it of the source graph?');
    }
    // Constants that the builder named are shared with equal ones of the target.
    const copy = value.data
      ? target.constant(value.data, value.name.startsWith(constantStem) ? undefined : value.name)
      : target.external(value.name, value.dtype, value.shape.map(Number), externalOf(value));
    mapped.set(value, copy);
    return copy;
  };
  const mapAll = (values: readonly (Value | null)[]) => values.map((v) => v && map(v));
  const rewriter: Rewriter = { target, map, mapAll };

  const needed = nodesNeeded(source);
  for (const node of source.nodes) {
    if (!needed.has(node)) continue;
    const outputs = target.withScope(node.scope, () => visit(node, rewriter) ?? copyNode(node, rewriter));
    node.outputs.forEach((value, i) => {
      const output = outputs[i];
      if (output) mapped.set(value, output);
    });
  }
  for (const { name, value } of source.outputs) target.output(name, map(value));
  return { graph: removeDead(target), map };
}

/** The same node on the target's values, under the same names. */
export function copyNode(node: Node, { target, mapAll }: Rewriter): Value[] {
  return target.node(node.op, mapAll(node.inputs), node.attributes, {
    name: node.name,
    domain: node.domain,
    outputNames: node.outputs.map((v) => v.name),
    outputs: node.outputs.length,
    types: node.outputs,
  });
}

/** Nodes on a path to an output. */
export function nodesNeeded(graph: Graph): Set<Node> {
  const needed = new Set<Node>();
  const open = graph.outputs.map((o) => o.value.producer);
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (!node || needed.has(node)) continue;
    needed.add(node);
    for (const input of node.inputs) if (input?.producer) open.push(input.producer);
  }
  return needed;
}

/** Uses of every value as a node input. */
export function consumersOf(graph: Graph): (value: Value) => readonly Node[] {
  const uses = new Map<Value, Node[]>();
  for (const node of graph.nodes) {
    for (const input of node.inputs) {
      if (!input) continue;
      const list = uses.get(input);
      if (list) list.push(node);
      else uses.set(input, [node]);
    }
  }
  return (value) => uses.get(value) ?? [];
}

function externalOf(value: Value) {
  if (!value.external) throw new GraphError('UNKNOWN_VALUE', value.name, 'it has no data.', 'Please report it.');
  return value.external;
}

/** Drops, in place, what rewriting left without use. */
function removeDead(graph: Graph): Graph {
  const needed = nodesNeeded(graph);
  const used = new Set(graph.outputs.map((o) => o.value));
  for (const node of needed) for (const input of node.inputs) if (input) used.add(input);
  graph.retain(needed, used);
  return graph;
}
