import type { DataType } from '../dtype.ts';
import type { Graph, Value } from '../graph.ts';

import { bytesPerElement } from '../dtype.ts';

/** Bytes of the weights of a graph. */
export interface WeightSummary {
  readonly bytes: number;
  readonly count: number;
  /** By element type, the most bytes first. */
  readonly byDtype: ReadonlyMap<DataType, number>;
  /** By file, as the graph calls it; `''` for constants in the graph itself. */
  readonly byFile: ReadonlyMap<string, number>;
}

export function weightSummary(graph: Graph): WeightSummary {
  const sum = <Key>(keyOf: (value: Value) => Key) => {
    const totals = new Map<Key, number>();
    for (const value of graph.initializers) {
      totals.set(keyOf(value), (totals.get(keyOf(value)) ?? 0) + bytesOfWeight(value));
    }
    return new Map([...totals].toSorted(([, a], [, b]) => b - a));
  };
  return {
    bytes: graph.initializers.reduce((total, value) => total + bytesOfWeight(value), 0),
    count: graph.initializers.length,
    byDtype: sum(({ dtype }) => dtype),
    byFile: sum(({ external }) => external?.location ?? ''),
  };
}

const bytesOfWeight = ({ shape, dtype }: Value): number =>
  shape.reduce<number>((n, dim) => n * Number(dim), bytesPerElement(dtype));

/** How many nodes each operator has, the most first; other operator sets than the standard one by `domain.Name`. */
export function operatorCounts(graph: Graph): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { op, domain } of graph.nodes) {
    const name = domain === '' || domain === 'ai.onnx' ? op : `${domain}.${op}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return new Map([...counts].toSorted(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)));
}

/** Columns that packing pads a weight to. */
const packedColumns = 16;

/**
 * Bytes of the copies that ONNX Runtime's CPU provider packs: of each float32 matrix that is the right operand of
 * products, one as it is and one transposed, as they need it; of the codes of `MatMulNBits`, with two numbers a block.
 */
export function packedWeightBytes(graph: Graph): number {
  let total = 0;
  const packed = new Set<string>();
  for (const { op, inputs, attributes } of graph.nodes) {
    const weight = inputs[1];
    if (op === 'MatMulNBits' && weight && !packed.has(weight.name)) {
      packed.add(weight.name);
      const [rows = 0, blocks = 0, bytes = 0] = weight.shape.map(Number);
      total += rows * blocks * (bytes + 2 * 4);
    }
    if (op !== 'MatMul' && op !== 'FusedMatMul' && op !== 'Gemm') continue;
    if (!weight || weight.kind === 'input' || weight.kind === 'node') continue;
    if (weight.dtype !== 'float32' || weight.shape.length !== 2) continue;
    const key = JSON.stringify([weight.name, attributes['transB'] === 1]);
    if (packed.has(key)) continue;
    packed.add(key);
    const [rows = 0, columns = 0] = weight.shape.map(Number);
    const [k, n] = attributes['transB'] === 1 ? [columns, rows] : [rows, columns];
    total += 4 * k * Math.ceil(n / packedColumns) * packedColumns;
  }
  return total;
}
