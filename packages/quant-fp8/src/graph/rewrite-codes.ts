import { createParams, rewriteGraph } from '@musubi/onnx-graph';
import type { DataType, Graph, Node, ParameterSource, Rewriter, Value } from '@musubi/onnx-graph';
import { scaleKey } from '../targets.ts';

/** How weights that are stored as codes are computed with. */
export interface CodesLowering {
  /** Whether an initializer holds codes. */
  isCodes(weight: Value): boolean;
  /**
   * The numbers of the codes as `dtype`, not before `after`; undefined leaves the nodes as they are.
   *
   * @param codes of the graph that is read
   */
  dequantized(codes: Value, dtype: DataType, after: readonly Value[], rewriter: Rewriter): Value | undefined;
  /** A product that takes the codes of its right side as they are; undefined: of the dequantized weight. */
  product?(node: Node, codes: Value, rewriter: Rewriter): readonly Value[] | undefined;
}

/**
 * Lowers every use of weights that are codes behind a Cast, as `createParams` gives them. Where a product uses them they
 * are dequantized for this product alone, once its other operand is there.
 */
export function rewriteCodes(graph: Graph, lowering: CodesLowering): Graph {
  return rewriteGraph(graph, (node, rewriter) => {
    const [result] = node.outputs;
    const behind = codesBehindCast(result, lowering);
    if (result && behind) {
      const wide = lowering.dequantized(behind, result.dtype, [], rewriter);
      return wide && [wide];
    }
    const weights = node.inputs.slice(0, 2).map((input) => codesBehindCast(input, lowering));
    if (!products.has(node.op) || weights.every((codes) => !codes)) return undefined;
    const whole = weights[1] && !weights[0] ? lowering.product?.(node, weights[1], rewriter) : undefined;
    if (whole) return whole;
    // A Cast that stays as it is must not be made before it is asked for: an unused one would be dropped again.
    const inputs: (Value | null)[] = node.inputs.map((input, i) => (weights[i] ? null : input && rewriter.map(input)));
    weights.forEach((codes, i) => {
      if (!codes) return;
      const other = weights[1 - i] ? undefined : inputs[1 - i];
      const wide = lowering.dequantized(codes, node.inputs[i]!.dtype, other ? [other] : [], rewriter);
      inputs[i] = wide ?? rewriter.map(node.inputs[i]!);
    });
    return rewriter.target.node(node.op, inputs, node.attributes, {
      name: node.name,
      domain: node.domain,
      outputNames: node.outputs.map((value) => value.name),
    });
  }).graph;
}

const products: ReadonlySet<string> = new Set(['MatMul', 'FusedMatMul', 'Gemm']);

/** The codes that a value is a Cast of, directly or through the Reshape with which `gateWeights` delays it. */
function codesBehindCast(value: Value | null | undefined, { isCodes }: CodesLowering): Value | undefined {
  if (value?.producer?.op !== 'Cast') return undefined;
  const [input] = value.producer.inputs;
  const codes = input?.producer?.op === 'Reshape' ? input.producer.inputs[0] : input;
  return codes?.kind === 'external' && isCodes(codes) ? codes : undefined;
}

/** Finds the scale of a weight; in a graph it is made once for all uses. */
export function createScales(source: ParameterSource) {
  const made = new Map<string, Value>();
  const find = ({ name }: Value) => (scaleKey(name) === name ? undefined : source(scaleKey(name)));
  return {
    find,
    /** The scale of codes as an initializer of `target`, in its own dtype. */
    of(codes: Value, target: Graph): Value | undefined {
      const name = scaleKey(codes.name);
      const known = made.get(name);
      if (known) return known;
      const found = find(codes);
      if (!found) return undefined;
      const scale = createParams(target, source).stored(name, found.shape);
      made.set(name, scale);
      return scale;
    },
  };
}
