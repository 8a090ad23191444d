import type { DataType } from '../dtype.ts';
import type { Graph, Node, Value } from '../graph.ts';

import { onnxCode } from '../dtype.ts';
import { cast } from '../ops.ts';
import { type Rewriter, rewriteGraph } from '../rewrite.ts';
import { waitedFor } from './gate-on-device.ts';

/** Number type in which matrices are multiplied. */
export type ProductDtype = 'float32' | 'float16' | 'bfloat16';

export interface NarrowProductsOptions {
  readonly dtype: ProductDtype;
  /** Products that remain float32; default: none. */
  readonly stays?: (node: Node) => boolean;
}

const products: ReadonlySet<string> = new Set(['MatMul', 'FusedMatMul', 'Gemm']);

/** What changes no number, so that it may follow narrowing as well as go before it. */
const moves: ReadonlySet<string> = new Set(['Transpose', 'Reshape', 'Squeeze', 'Unsqueeze']);

/** Types in which weights are stored. */
const narrow: ReadonlySet<DataType> = new Set(['float16', 'bfloat16', 'float8e4m3fn', 'float8e5m2', 'uint8']);

/**
 * Multiplies matrices in 16 bits, as mixed precision does (Micikevicius et al. 2017, arXiv 1710.03740): operands are
 * narrowed, once for all products that read them, and results widened to float32, in which everything else is computed.
 * A result that another product reads, moved or not, enters it as it is; what is moved is narrowed first.
 *
 * A weight that is stored in `dtype` enters its product as it lies; one that is stored in another narrow type is cast once,
 * without becoming float32 in between. Apply it to a graph whose products are fused, before `gateWeights`.
 */
export function narrowProducts(graph: Graph, { dtype, stays = () => false }: NarrowProductsOptions): Graph {
  if (dtype === 'float32') return graph;
  const made = new Map<Value, Value>();
  return rewriteGraph(graph, (node, rewriter) => {
    const [result] = node.outputs;
    if (!products.has(node.op) || result?.dtype !== 'float32' || stays(node)) return undefined;
    const inputs = node.inputs.map((value) => value && narrowOnce(value, dtype, rewriter, made));
    const [product] = rewriter.target.node(node.op, inputs, node.attributes, {
      name: node.name,
      domain: node.domain,
      outputNames: [`${result.name}/${dtype}`],
    });
    made.set(result, product!);
    return rewriter.target.node('Cast', [product!], { to: onnxCode('float32') }, { outputNames: [result.name] });
  }).graph;
}

function narrowOnce(value: Value, dtype: DataType, rewriter: Rewriter, made: Map<Value, Value>): Value {
  const known = made.get(value);
  if (known) return known;
  const result = narrowed(value, dtype, rewriter, made);
  made.set(value, result);
  return result;
}

function narrowed(value: Value, dtype: DataType, rewriter: Rewriter, made: Map<Value, Value>): Value {
  const { producer } = value;
  const [from, ...others] = producer?.inputs ?? [];
  if (!producer || !from) return cast(rewriter.map(value), dtype);
  if (isWidening(producer)) return cast(rewriter.map(from), dtype);
  if (!isMove(producer) && !isCutOfWidened(producer)) return cast(rewriter.map(value), dtype);
  const inputs = [narrowOnce(from, dtype, rewriter, made), ...rewriter.mapAll(others)];
  const types = producer.outputs.map(({ shape }) => ({ dtype, shape }));
  return rewriter.target.node(producer.op, inputs, producer.attributes, { types })[0]!;
}

/** A gate stays where it is: what waits behind it is not there before. */
const isMove = (node: Node): boolean => moves.has(node.op) && !waitedFor(node);

/** Of a weight that is stored in a narrow type. */
const isWidening = ({ op, inputs: [from] }: Node): boolean =>
  op === 'Cast' && from?.kind === 'external' && narrow.has(from.dtype);

/** A part of a weight that was widened, moved or not. */
function isCutOfWidened({ op, inputs: [from] }: Node): boolean {
  if (op !== 'Slice') return false;
  for (let node = from?.producer; node; node = node.inputs[0]?.producer) {
    if (isWidening(node)) return true;
    if (!moves.has(node.op) && node.op !== 'Slice') return false;
  }
  return false;
}
