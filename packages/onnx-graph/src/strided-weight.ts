import type { DataType } from './dtype.ts';
import type { ExternalData, Graph, NodeOptions, Value } from './graph.ts';

import { GraphError } from './errors.ts';
import { cast, concat, full, gather, reshape, slice } from './ops.ts';

/** A weight as the checkpoint has it. */
export interface StoredParameter {
  readonly dtype: DataType;
  readonly shape: readonly number[];
  readonly external: ExternalData;
  /**
   * Distances in elements between neighbours along each axis, where they are not those of row-major order, as in a
   * transposed tensor of a .pth file. `external` then reaches from the first to the last element.
   */
  readonly strides?: readonly number[];
}

/** A weight in a file, and how the graph comes to see it in row-major order. */
export interface WeightInFile {
  /** The initializer. Of a strided weight it has the shape in which the elements lie. */
  readonly stored: Value;
  /** `stored`, or a cast of it, in the shape of the weight. */
  view(stored: Value, name?: string): Value;
}

/**
 * Puts a weight that lies in a file into a graph. What lies there without gaps in another order of axes becomes an
 * initializer of that order and a `Transpose`; repeated axes are repeated; gaps are cut out. Nothing is
 * copied before the graph runs, and `fuseProducts` lets a product read a transposed weight as it lies.
 *
 * @param name of the initializer; of a strided weight `<name>.stored`
 * @throws {GraphError} `UNSUPPORTED_LAYOUT` when elements of one axis lie between those of another
 */
export function weightInFile(graph: Graph, name: string, weight: StoredParameter): WeightInFile {
  const { dtype, shape, external, strides } = weight;
  if (!strides) return { stored: graph.external(name, dtype, shape, external), view: (stored) => stored };
  const layout = layoutOf(name, shape, strides);
  const { axes } = layout;
  const isDense = axes.every(({ size, stride }, i) => size * stride === (axes[i - 1]?.stride ?? layout.span));
  const stored = graph.external(`${name}.stored`, dtype, isDense ? layout.sizes : [layout.span], external);
  return {
    stored,
    view: (value, viewName) => inOrder(isDense ? value : cutGaps(value, layout), layout, shape, viewName),
  };
}

/** The weight as float32, under its own name. */
export function wideWeight({ stored, view }: WeightInFile, name: string): Value {
  return view(cast(stored, 'float32'), name);
}

interface Axis {
  readonly size: number;
  readonly stride: number;
}

interface Layout {
  /** The axes that take room in the file, the widest stride first. */
  readonly axes: readonly Axis[];
  /** All axes in the order of the file, repeated ones with size 1. */
  readonly sizes: readonly number[];
  /** `sizes[i]` belongs to axis `order[i]` of the weight. */
  readonly order: readonly number[];
  /** Elements from the first to the last one. */
  readonly span: number;
}

function layoutOf(name: string, shape: readonly number[], strides: readonly number[]): Layout {
  const steps = shape.map((size, axis) => (size === 1 ? 0 : (strides[axis] ?? 0)));
  const order = steps.map((_, axis) => axis).toSorted((a, b) => rank(steps[a]) - rank(steps[b]));
  const sizes = order.map((axis) => (steps[axis] === 0 ? 1 : (shape[axis] ?? 1)));
  const axes = order.flatMap((axis) => (steps[axis] === 0 ? [] : [{ size: shape[axis]!, stride: steps[axis]! }]));
  let span = 1;
  for (const { size, stride } of axes.toReversed()) {
    if (span > stride) {
      throw new GraphError(
        'UNSUPPORTED_LAYOUT',
        name,
        `the elements of [${shape.join(', ')}] with strides [${strides.join(', ')}] overlap in the file.`,
        'In PyTorch, save it as tensor.clone().contiguous().',
      );
    }
    span += (size - 1) * stride;
  }
  return { axes, sizes, order, span };
}

/** Wide strides first; axes that take no room before all others, in their own order. */
const rank = (stride = 0): number => (stride === 0 ? -Infinity : -stride);

/**
 * `[span]` as the sizes of the file. Each axis in turn: filled up to whole steps with what is cut off again, folded into
 * rows of one step, of which the span of the inner axes is kept.
 */
function cutGaps(flat: Value, { axes, sizes, span }: Layout): Value {
  const outer: number[] = [];
  let x = flat;
  let length = span;
  for (const { size, stride } of axes) {
    const last = outer.length;
    const missing = size * stride - length;
    if (missing > 0) x = concat([x, slice(x, last, 0, missing)], last);
    outer.push(size);
    length -= (size - 1) * stride;
    x = slice(reshape(x, [...outer, stride]), last + 1, 0, length);
  }
  return reshape(x, sizes);
}

/** The sizes of the file with its axes repeated and in the order of the weight. */
function inOrder(x: Value, { order, sizes }: Layout, shape: readonly number[], name?: string): Value {
  const repeated = order.reduce((y, axis, i) => (shape[axis] === sizes[i] ? y : repeat(y, i, shape[axis] ?? 1)), x);
  const perm = order.map((_, axis) => order.indexOf(axis));
  const options: NodeOptions = name === undefined ? {} : { outputNames: [name] };
  return x.graph.node('Transpose', [repeated], { perm }, options)[0] ?? repeated;
}

/** An axis of length 1 repeated; ONNX Runtime has no `Expand` of bfloat16. */
const repeat = (x: Value, axis: number, count: number): Value =>
  gather(x, cast(full(x.graph, [count], 0), 'int64'), axis);
