import type { Graph, Node, Value } from '../graph.ts';

import { elementCount } from '../dim.ts';
import { reshape } from '../ops.ts';
import { type Rewriter, consumersOf, rewriteGraph } from '../rewrite.ts';

export interface FuseOptions {
  /**
   * What a product becomes: `FusedMatMul`, or `Gemm`, the operator of the standard, which takes matrices alone. Tokens times a
   * transposed matrix, `x·Wᵀ`, are one for all rows of the batch, so that no copy of W is made; other products keep their
   * transposes then, of which two cancel all the same.
   */
  readonly product?: 'FusedMatMul' | 'Gemm';
}

/**
 * Lets products read transposed operands in place and take factors as `alpha`, as `FusedMatMul` (com.microsoft; CPU and
 * CUDA):
 *
 *     A·Bᵀ           without a transpose
 *     (A·B)ᵀ         as Bᵀ·Aᵀ, without a transpose
 *     (c·A)·B, c·(A·B)  with alpha = c
 *
 * Two transposes cancel: the gradient of `x·Wᵀ` reads W as it is stored.
 */
export function fuseProducts(graph: Graph, { product: form = 'FusedMatMul' }: FuseOptions = {}): Graph {
  const consumers = consumersOf(graph);
  const outputs = new Set(graph.outputs.map((o) => o.value));
  const inner = (value: Value) => !outputs.has(value) && consumers(value).length === 1;

  return rewriteGraph(graph, (node, rewriter) => {
    const product = productOf(node, inner);
    if (!product) return undefined;
    const left = absorb(product.left);
    const right = absorb(product.right);
    const alpha = product.factor * left.factor * right.factor;
    if (form === 'Gemm' && ![left, right].every(isMatrix)) {
      if (isMatrix(right) && right.transposed && !left.transposed && !product.transposed) {
        return emitRows(node, [left, right], alpha, rewriter);
      }
      return node.op === 'MatMul'
        ? emitPlain(node, unlessChanged(left, node.inputs[0]), unlessChanged(right, node.inputs[1]), rewriter)
        : undefined;
    }
    const isPlain = !left.transposed && !right.transposed && alpha === 1;
    if (node.op === 'MatMul' && isPlain) return emitPlain(node, left, right, rewriter);
    const operands = product.transposed ? [flip(right), flip(left)] : [left, right];
    return emit(node, form, operands, alpha, rewriter);
  }).graph;
}

interface Operand {
  readonly value: Value;
  readonly transposed: boolean;
  readonly factor: number;
}

interface Product {
  readonly left: Value;
  readonly right: Value;
  readonly transposed: boolean;
  readonly factor: number;
}

const isMatrix = ({ value }: Operand): boolean => value.shape.length === 2;

const flip = (operand: Operand): Operand => ({ ...operand, transposed: !operand.transposed });

function emitPlain(node: Node, left: Operand, right: Operand, { target, map }: Rewriter): Value[] | undefined {
  if (left.value === node.inputs[0] && right.value === node.inputs[1]) return undefined;
  return target.node(
    'MatMul',
    [map(left.value), map(right.value)],
    {},
    {
      name: node.name,
      outputNames: node.outputs.map((v) => v.name),
    },
  );
}

/** What was looked through where nothing of it is left to do, else the operand as it is. */
const unlessChanged = (operand: Operand, value: Value | null | undefined): Operand =>
  value && (operand.transposed || operand.factor !== 1) ? { value, transposed: false, factor: 1 } : operand;

function emit(
  node: Node,
  form: 'FusedMatMul' | 'Gemm',
  operands: readonly Operand[],
  alpha: number,
  { target, map }: Rewriter,
): Value[] {
  const attributes = { transA: operands[0]?.transposed ? 1 : 0, transB: operands[1]?.transposed ? 1 : 0, alpha };
  const inputs = operands.map((operand) => map(operand.value));
  return target.node(form, inputs, attributes, {
    name: node.name,
    outputNames: node.outputs.map((v) => v.name),
  });
}

/** `x·Wᵀ` of `x` `[…, K]`, whose rows are those of one matrix. */
function emitRows(node: Node, [left, right]: readonly [Operand, Operand], alpha: number, rewriter: Rewriter): Value[] {
  const x = rewriter.map(left.value);
  const [leading, width] = [x.shape.slice(0, -1), x.shape.at(-1) ?? 1];
  const rows = reshape(x, [elementCount(leading), width]);
  const attributes = { transA: 0, transB: 1, alpha };
  const [product] = rewriter.target.node('Gemm', [rows, rewriter.map(right.value)], attributes, { name: node.name });
  return product ? [reshape(product, node.outputs[0]?.shape ?? [])] : [];
}

/** The product that a node is, alone or as the only use of one: a MatMul, its transpose, or a multiple of it. */
function productOf(node: Node, inner: (value: Value) => boolean): Product | undefined {
  const [x, y] = node.inputs;
  if (!x) return undefined;
  if (node.op === 'MatMul' && y) return { left: x, right: y, transposed: false, factor: 1 };
  if (node.op === 'Transpose' && swapsLastTwo(node)) {
    const product = inner(x) && x.producer ? productOf(x.producer, inner) : undefined;
    return product && { ...product, transposed: !product.transposed };
  }
  if (node.op === 'Mul' && y) {
    const [factor, value] = scalarOf(y) === undefined ? [scalarOf(x), y] : [scalarOf(y), x];
    if (factor === undefined || !inner(value) || !value.producer) return undefined;
    const product = productOf(value.producer, inner);
    return product && { ...product, factor: product.factor * factor };
  }
  return undefined;
}

/**
 * Looks through transposes of the last two axes and constant factors, also where something else needs the result: a
 * product must round the same whether or not its operand is kept for a backward pass.
 */
function absorb(value: Value): Operand {
  const node = value.producer;
  const [x, y] = node?.inputs ?? [];
  if (!node || !x) return { value, transposed: false, factor: 1 };
  if (node.op === 'Transpose' && swapsLastTwo(node)) return flip(absorb(x));
  if (node.op === 'Mul' && y) {
    const [factor, scaled] = scalarOf(y) === undefined ? [scalarOf(x), y] : [scalarOf(y), x];
    if (factor !== undefined) {
      const operand = absorb(scaled);
      return { ...operand, factor: operand.factor * factor };
    }
  }
  return { value, transposed: false, factor: 1 };
}

function swapsLastTwo(node: Node): boolean {
  const perm = node.attributes['perm'];
  if (!Array.isArray(perm)) return false;
  const rank = perm.length;
  return rank >= 2 && perm.every((p, i) => p === (i < rank - 2 ? i : 2 * rank - 3 - i));
}

/** A constant of shape []; 16-bit floats are there as their bits, which are no factor. */
function scalarOf(value: Value): number | undefined {
  if (value.shape.length !== 0 || !value.data || !['float32', 'float64'].includes(value.dtype)) return undefined;
  return Number(value.data.data[0]);
}
