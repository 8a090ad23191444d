import type { Dim, Value } from '@musubi/onnx-graph';

import { concat, dimAdd, dimSub, full, reshape, sliceAt, split, transpose } from '@musubi/onnx-graph';

import { AutodiffError } from '../errors.ts';
import { type GradientRule, need } from './rule.ts';

/** Gradients of operators that only move elements: the move backwards. */
export const movement = {
  Reshape: ({ inputs: [x], cotangent }) => [() => reshape(cotangent(0), need(x).shape), null],
  Unsqueeze: ({ inputs: [x], cotangent }) => [() => reshape(cotangent(0), need(x).shape), null],
  Squeeze: ({ inputs: [x], cotangent }) => [() => reshape(cotangent(0), need(x).shape), null],
  /** The engine sums over the repeated axes. */
  Expand: ({ cotangent }) => [() => cotangent(0), null],
  Transpose: ({ inputs: [x], cotangent, attribute }) => [
    () => {
      const perm =
        (attribute('perm') as readonly number[] | undefined) ?? need(x).shape.map((_, i, s) => s.length - 1 - i);
      return transpose(
        cotangent(0),
        perm.map((_, i) => perm.indexOf(i)),
      );
    },
  ],
  Concat: ({ inputs, cotangent, attribute }) => {
    const axis = positive(Number(attribute('axis')), need(inputs[0]).shape.length);
    const lengths = inputs.map((x) => need(need(x).shape[axis]));
    return inputs.map((_, i) => () => need(pieces(cotangent(0), lengths, axis)[i]));
  },
  Split: ({ inputs: [x], outputs, cotangent, attribute }) => {
    const axis = positive(Number(attribute('axis') ?? 0), need(x).shape.length);
    return [
      () =>
        concat(
          outputs.map((_, i) => cotangent(i)),
          axis,
        ),
      null,
    ];
  },
  /** Zeros where the slice took nothing. */
  Slice: ({ node, inputs: [x, starts, , axes, steps], outputs: [y], cotangent }) => {
    const pads = () => {
      const from = need(ints(starts));
      if ((ints(steps) ?? []).some((s) => s !== 1)) {
        throw new AutodiffError('NOT_DIFFERENTIABLE', node.name, 'Slice with a step.', 'Use steps of 1.');
      }
      return (ints(axes) ?? from.map((_, i) => i)).reduce((dY, a, i) => {
        const axis = positive(a, need(x).shape.length);
        return pad(dY, axis, from[i] ?? 0, need(need(x).shape[axis]), need(need(y).shape[axis]));
      }, cotangent(0));
    };
    return [pads, null, null, null, null];
  },
} satisfies Record<string, GradientRule>;

const ints = (v: Value | undefined) => (v?.data ? Array.from(v.data.data as BigInt64Array, Number) : undefined);

const positive = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

/** `dY` cut into lengths, which may be symbolic. */
function pieces(dY: Value, lengths: readonly Dim[], axis: number): Value[] {
  if (lengths.every((d) => typeof d === 'number')) return split(dY, lengths, axis);
  let start: Dim = 0;
  return lengths.map((length) => {
    const piece = sliceAt(dY, axis, start, length);
    start = dimAdd(start, length);
    return piece;
  });
}

/** Zeros around `dY` so that `axis` has length `whole` again. */
function pad(dY: Value, axis: number, start: number, whole: Dim, length: Dim): Value {
  const first: Dim = start < 0 ? Number(whole) + start : start;
  const last = dimSub(dimSub(whole, first), length);
  const zeros = (n: Dim) =>
    full(
      dY.graph,
      dY.shape.map((d, i) => (i === axis ? n : d)),
      0,
    );
  const parts = [...(first === 0 ? [] : [zeros(first)]), dY, ...(last === 0 ? [] : [zeros(last)])];
  return parts.length === 1 ? dY : concat(parts, axis);
}
