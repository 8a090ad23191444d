import type { AttentionChunks, Graph, Node, Value } from '@musubi/onnx-graph';

import {
  add,
  consumersOf,
  formatShape,
  full,
  fullLike,
  isFloat,
  reduceSum,
  reshape,
  rewriteGraph,
} from '@musubi/onnx-graph';

import type { RuleCall } from './rules/rule.ts';

import { AutodiffError } from './errors.ts';
import { type Recompute, createRecompute } from './recompute.ts';
import { blockOf } from './recomputed-blocks.ts';
import { gradientRules, nonDifferentiable } from './rules/table.ts';

export interface VjpOptions {
  /**
   * Activation checkpointing: the segment a node belongs to, or undefined for none. What happens inside a segment is
   * computed again for the backward pass, so only values between segments are kept. See {@link blockOf}.
   */
  readonly segmentOf?: (node: Node) => string | undefined;
  /** Pieces in which the backward pass of an `Attention` node computes its scores again; by default one. */
  readonly attention?: (node: Node) => AttentionChunks;
  /** Name of an input `[1]`, made here, that is the cotangent of scalar outputs in place of 1. */
  readonly scale?: string;
}

export interface Vjp {
  /** The forward graph, its gradient nodes, and the outputs of the forward graph. */
  readonly graph: Graph;
  /** One gradient for each of `wrt`, in its shape. */
  readonly gradients: readonly Value[];
}

/**
 * Vector-Jacobian product by reverse-mode differentiation, from graph to graph.
 *
 * The result has the nodes of `graph` and, behind them, those that compute the gradients of the outputs named in
 * `outputs` by the inputs named in `wrt`. Scalar outputs get the cotangent 1; for any other one the result has an
 * input `cotangent/<output>` of its shape. Only nodes on a path from `wrt` to `outputs` are differentiated.
 *
 * @throws {AutodiffError} `NO_GRADIENT_RULE` when an operator on such a path has no rule, `UNKNOWN_NAME`
 */
export function vjp(source: Graph, outputs: readonly string[], wrt: readonly string[], options: VjpOptions = {}): Vjp {
  const { graph } = rewriteGraph(source);
  const targets = outputs.map((name) => named(graph.outputs, name, 'output').value);
  const parameters = wrt.map((name) => named(graph.inputs, name, 'input'));
  const active = activeNodes(graph, parameters, targets);
  const cotangents = new Cotangents();
  const consumers = consumersOf(graph);
  const uses = (value: Value) => [...consumers(value), ...(targets.includes(value) ? [null] : [])];
  const nodes = [...graph.nodes];

  targets.forEach((value, i) => cotangents.add(value, seed(graph, value, outputs[i] ?? '', options.scale)));

  let recompute: Recompute | undefined;
  // Parameter gradients since the last segment began: an earlier block's recomputation waits for them.
  let parameterGradients: Value[] = [];
  for (const node of nodes.toReversed()) {
    if (!active.nodes.has(node) || !node.outputs.some((v) => cotangents.has(v))) continue;
    const segment = options.segmentOf?.(node);
    if (segment === undefined) {
      recompute = undefined;
    } else if (segment !== recompute?.segment) {
      const after = [...node.outputs.flatMap((v) => cotangents.get(v) ?? []), ...parameterGradients];
      recompute = createRecompute(segment, options, after);
      parameterGradients = [];
    }
    graph.withScope(`grad/${node.name}`, () => {
      for (const [input, gradient] of differentiate(node, {
        active,
        cotangents,
        uses,
        recompute,
        attention: options.attention?.(node) ?? inOnePiece,
      })) {
        cotangents.add(input, gradient);
        if (input.kind === 'input') parameterGradients.push(gradient);
      }
    });
  }
  const gradients = parameters.map((p) => cotangents.get(p) ?? fullLike(p, 0));
  return { graph, gradients };
}

interface Context {
  readonly active: Active;
  readonly cotangents: Cotangents;
  /** Nodes that use a value; null stands for an output that is differentiated. */
  readonly uses: (value: Value) => readonly (Node | null)[];
  readonly recompute: Recompute | undefined;
  readonly attention: AttentionChunks;
}

const inOnePiece: AttentionChunks = { chunks: 1, rows: 1 };

/** Applies the rule of a node: pairs of an active input and its share of that input's cotangent. */
function differentiate(node: Node, { active, cotangents, uses, recompute, attention }: Context): [Value, Value][] {
  const rule = gradientRules[node.op];
  if (!rule) {
    const block = blockOf(node) ?? (node.scope || 'the top level');
    throw new AutodiffError(
      'NO_GRADIENT_RULE',
      node.name,
      `operator ${node.op} in ${block} has no gradient rule.`,
      'Add one to packages/autodiff/src/rules (CONTRIBUTING.md, "Add an operator").',
    );
  }
  const current = (value: Value) => recompute?.again(value) ?? value;
  const cotangent = (output: number): Value => {
    const value = node.outputs[output];
    if (!value)
      throw new AutodiffError('BAD_RULE', node.name, `its rule asks for output ${output}.`, 'Please report it.');
    return cotangents.get(value) ?? fullLike(current(value), 0);
  };
  const call: RuleCall = {
    node,
    inputs: node.inputs.map((v) => (v ? current(v) : undefined)),
    outputs: node.outputs.map(current),
    cotangent,
    attribute: (name) => node.attributes[name],
    attention,
    soleConsumer() {
      const [value] = node.outputs;
      const [next, ...others] = value ? uses(value) : [];
      const output = next?.outputs[0];
      const known = output && cotangents.get(output);
      const once = next?.inputs.filter((v) => v === value).length === 1;
      return next && output && known && once && others.length === 0
        ? { node: next, output: current(output), cotangent: known }
        : undefined;
    },
  };
  const thunks = rule(call);
  return node.inputs.flatMap((input, i): [Value, Value][] => {
    const thunk = thunks[i];
    if (!input || !active.values.has(input) || !thunk) return [];
    return [[input, checked(node, input, sumTo(thunk(), input))]];
  });
}

/** Undoes broadcasting: sums over the axes along which `like` was repeated. */
function sumTo(value: Value, like: Value): Value {
  const extra = value.shape.length - like.shape.length;
  const axes = value.shape.flatMap((d, i) => (i < extra || (like.shape[i - extra] === 1 && d !== 1) ? [i] : []));
  const summed = axes.length === 0 ? value : reduceSum(value, axes);
  return summed.shape.length === like.shape.length ? summed : reshape(summed, like.shape);
}

function checked(node: Node, input: Value, gradient: Value): Value {
  if (gradient.dtype === input.dtype && formatShape(gradient.shape) === formatShape(input.shape)) return gradient;
  throw new AutodiffError(
    'BAD_RULE',
    node.name,
    `the rule of ${node.op} gives ${gradient.dtype} ${formatShape(gradient.shape)} for ${input.name}, which is ` +
      `${input.dtype} ${formatShape(input.shape)}.`,
    'This is a mistake in the rule: please report it.',
  );
}

/** Sums of what flowed back to each value so far. */
class Cotangents {
  readonly #sums = new Map<Value, Value>();
  has = (value: Value): boolean => this.#sums.has(value);
  get = (value: Value): Value | undefined => this.#sums.get(value);
  add(value: Value, contribution: Value): void {
    const known = this.#sums.get(value);
    this.#sums.set(value, known ? add(known, contribution) : contribution);
  }
}

interface Active {
  readonly nodes: ReadonlySet<Node>;
  /** Values that depend on a parameter. */
  readonly values: ReadonlySet<Value>;
}

/** Activity analysis: nodes on a differentiable path from a parameter to a target. */
function activeNodes(graph: Graph, parameters: readonly Value[], targets: readonly Value[]): Active {
  const values = new Set<Value>(parameters);
  const dependent: Node[] = [];
  for (const node of graph.nodes) {
    if (nonDifferentiable.has(node.op) || !node.inputs.some((v) => v && values.has(v))) continue;
    dependent.push(node);
    for (const output of node.outputs) if (isFloat(output.dtype)) values.add(output);
  }
  const needed = new Set<Value>(targets);
  const nodes = new Set<Node>();
  for (const node of dependent.toReversed()) {
    if (!node.outputs.some((v) => needed.has(v))) continue;
    nodes.add(node);
    for (const input of node.inputs) if (input && values.has(input)) needed.add(input);
  }
  return { nodes, values };
}

function seed(graph: Graph, value: Value, name: string, scale: string | undefined): Value {
  if (value.shape.every((d) => d === 1)) {
    return graph.withScope('grad', () =>
      scale === undefined ? full(graph, value.shape, 1) : reshape(inputOf(graph, scale), value.shape),
    );
  }
  return graph.input(`cotangent/${name}`, value.dtype, value.shape);
}

const inputOf = (graph: Graph, name: string): Value =>
  graph.inputs.find((input) => input.name === name) ?? graph.input(name, 'float32', [1]);

function named<T extends { name: string }>(list: readonly T[], name: string, what: string): T {
  const found = list.find((item) => item.name === name);
  if (found) return found;
  const known = list
    .map((item) => item.name)
    .slice(0, 10)
    .join(', ');
  throw new AutodiffError('UNKNOWN_NAME', name, `the graph has no ${what} of this name.`, `It has ${known || 'none'}.`);
}
