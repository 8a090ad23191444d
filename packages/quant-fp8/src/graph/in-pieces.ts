import { add, concat, slice } from '@musubi/onnx-graph';
import type { Node, Rewriter, Value } from '@musubi/onnx-graph';
import type { Rows } from './stored-rows.ts';
import type { Widen } from './widen.ts';

/** Numbers of a weight that are wide at once, 64 MiB in float32. */
const mostElements = 2 ** 24;

/**
 * A product with a weight `W [out, in]` that would be large as float32, of pieces of its rows one after another:
 *
 *     x·Wᵀ = Concat(x·W₁ᵀ, x·W₂ᵀ, …)     x·W = x₁·W₁ + x₂·W₂ + …
 *
 * so that what is wide at once takes the memory of a piece.
 *
 * @returns undefined for weights that are not large and for products of another form
 */
export function productInPieces(node: Node, codes: Value, rewriter: Rewriter, widen: Widen): Value[] | undefined {
  const { target, map } = rewriter;
  const { op, domain, attributes } = node;
  const pieces = piecesOf(codes.shape.map(Number));
  if (pieces.length < 2 || !['MatMul', 'FusedMatMul'].includes(op) || attributes['transA']) return undefined;
  const x = map(node.inputs[0]!);
  const axis = x.shape.length - 1;
  const parts: Value[] = [];
  for (const rows of pieces) {
    const left = attributes['transB'] ? x : slice(x, axis, rows.start, rows.end);
    const right = widen(codes, node.inputs[1]!.dtype, [parts.at(-1) ?? x], rewriter, rows);
    parts.push(...target.node(op, [left, right], attributes, { domain }));
  }
  return [attributes['transB'] ? concat(parts, axis) : parts.reduce((sum, part) => add(sum, part))];
}

function piecesOf([rows = 0, columns = 0, ...more]: readonly number[]): Rows[] {
  const count = more.length > 0 ? 1 : Math.ceil((rows * columns) / mostElements);
  const size = Math.ceil(rows / count);
  return Array.from({ length: count }, (_, i) => ({ start: i * size, end: Math.min(rows, (i + 1) * size) }));
}
