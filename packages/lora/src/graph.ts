import type { Graph, Node, StoredParameter, Value } from '@musubi/onnx-graph';

import { GraphError, add, cast, copyNode, mT, matmul, mul, rewriteGraph } from '@musubi/onnx-graph';

/** An adapter as a graph needs it. */
export interface GraphAdapter {
  /** Module it sits on, e.g. `blocks.0.self_attn.q`: the graph's weight is `<path>.weight`. */
  readonly path: string;
  /** Name in files, e.g. `lora_unet_blocks_0_self_attn_q`. */
  readonly name: string;
  readonly rank: number;
  /** `alpha / rank`, times a multiplier where there is one. */
  readonly scale: number;
  /** Where a frozen adapter's factors lie; without it they are inputs of the graph, to be trained. */
  readonly stored?: { readonly down: StoredParameter; readonly up: StoredParameter };
}

/** Names of the inputs of a trained adapter, which are its keys in a saved file. */
export const downKey = (name: string): string => `${name}.lora_down.weight`;
export const upKey = (name: string): string => `${name}.lora_up.weight`;

/**
 * A forward graph with adapters on its Linear layers (Hu et al. 2021, arXiv 2106.09685): `y = x·Wᵀ + (x·Aᵀ·scale)·Bᵀ`
 * with `A` = down `[rank, in]` and `B` = up `[out, rank]`, both float32.
 *
 * Trained adapters add two inputs each, {@link downKey} and {@link upKey}. Several adapters may sit on one module, e.g.
 * a frozen one in place of merging it into the base weights and a trained one.
 *
 * @throws {GraphError} `MISSING_PARAMETER` when no product of the graph uses the weight of an adapter's module
 */
export function injectLora(graph: Graph, adapters: readonly GraphAdapter[]): Graph {
  const byWeight = new Map<string, GraphAdapter[]>();
  for (const adapter of adapters) {
    const key = `${adapter.path}.weight`;
    byWeight.set(key, [...(byWeight.get(key) ?? []), adapter]);
  }
  const missing = new Set(byWeight.keys());
  const { graph: adapted } = rewriteGraph(graph, (node, rewriter) => {
    const weight = linearWeight(node);
    const here = weight && byWeight.get(weight.name);
    const [x] = node.inputs;
    if (!weight || !here || !x) return undefined;
    missing.delete(weight.name);
    const [base] = copyNode(node, rewriter);
    return base && [here.reduce((y, adapter) => add(y, branch(rewriter.map(x), adapter, weight)), base)];
  });
  for (const weight of missing) {
    throw new GraphError(
      'MISSING_PARAMETER',
      weight,
      'no product of the graph uses it.',
      'Is the adapter for another model?',
    );
  }
  return adapted;
}

function branch(x: Value, { name, rank, scale, stored }: GraphAdapter, weight: Value): Value {
  const [outFeatures, inFeatures] = weight.shape.map(Number);
  const factor = (key: string, shape: (number | undefined)[], source: StoredParameter | undefined): Value => {
    const lengths = shape.map(Number);
    if (!source) return x.graph.input(key, 'float32', lengths);
    return cast(x.graph.external(key, source.dtype, source.shape, source.external), 'float32');
  };
  const down = factor(downKey(name), [rank, inFeatures], stored?.down);
  const up = factor(upKey(name), [outFeatures, rank], stored?.up);
  return x.graph.within('lora', () => matmul(scaled(matmul(x, mT(down)), scale), mT(up)));
}

const scaled = (x: Value, factor: number): Value => (factor === 1 ? x : mul(x, factor));

/** The weight `W` of a node `x·Wᵀ`, seen through the Cast of 16-bit weights. */
function linearWeight(node: Node): Value | undefined {
  const transposed = node.op === 'MatMul' ? node.inputs[1]?.producer : undefined;
  const wide = transposed?.op === 'Transpose' ? transposed.inputs[0] : undefined;
  const stored = wide?.producer?.op === 'Cast' ? wide.producer.inputs[0] : wide;
  return stored?.kind === 'external' ? stored : undefined;
}
