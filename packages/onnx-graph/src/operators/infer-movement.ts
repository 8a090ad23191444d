import type { Dim, Shape } from '../dim.ts';
import type { Infer, OperatorCall } from './infer.ts';

import { dimAdd, dimDivide, dimMin, dimSub, elementCount, formatShape } from '../dim.ts';
import { axisOf, broadcast, present, requireDtype, sameDtype, sliceLength, withAxis } from './shapes.ts';

export const transpose: Infer = (call) => {
  const x = call.input(0);
  const perm = call.ints('perm') ?? x.shape.map((_, i) => x.shape.length - 1 - i);
  if (perm.length !== x.shape.length || perm.toSorted((a, b) => a - b).some((p, i) => p !== i)) {
    call.failShapes(`perm [${perm.join(', ')}] is not a permutation of its axes`);
  }
  return [{ dtype: x.dtype, shape: perm.map((p) => x.shape[p] ?? 1) }];
};

/** From a constant target where it says all; otherwise the caller gives the type, which must not contradict it. */
export const reshape: Infer = (call) => {
  const x = call.input(0);
  const target = call.constantInts(1);
  const said = target && targetShape(call, x.shape, target);
  const shape = call.given?.[0]?.shape ?? said;
  if (!shape)
    return call.failShapes(target ? 'cannot divide by the other lengths' : 'the target is computed: give the type');
  agree(call, said, shape);
  if (elementCount(shape) !== elementCount(x.shape)) call.failShapes(`${formatShape(shape)} has another size`);
  return [{ dtype: x.dtype, shape }];
};

/** 0 copies an axis (unless `allowzero`), one -1 takes the rest; undefined where symbols hide what that is. */
function targetShape(call: OperatorCall, from: Shape, target: readonly number[]): Shape | undefined {
  const copies = call.int('allowzero') === 0;
  const dims = target.map((d, i): Dim =>
    d === 0 && copies ? (from[i] ?? call.failShapes(`no axis ${i} to copy`)) : d,
  );
  const open = dims.filter((d) => d === -1).length;
  if (open > 1) call.failShapes(`[${target.join(', ')}] leaves two lengths open`);
  if (open === 0) return dims;
  const rest = dimDivide(elementCount(from), elementCount(dims.filter((d) => d !== -1)));
  return rest === undefined ? undefined : dims.map((d) => (d === -1 ? rest : d));
}

function agree(call: OperatorCall, said: Shape | undefined, given: Shape): void {
  if (said && formatShape(said) !== formatShape(given)) {
    call.failShapes(`the target says ${formatShape(said)}, the given type ${formatShape(given)}`);
  }
}

export const concat: Infer = (call) => {
  const values = present(call);
  const first = call.input(0);
  const axis = axisOf(call, call.int('axis'), first.shape.length);
  for (const v of values) {
    if (v.shape.length !== first.shape.length || v.shape.some((d, i) => i !== axis && d !== first.shape[i])) {
      call.failShapes(`they differ on another axis than ${axis}`);
    }
  }
  const length = values.map((v) => v.shape[axis] ?? 0).reduce(dimAdd, 0);
  return [{ dtype: sameDtype(call, values), shape: withAxis(first.shape, axis, length) }];
};

export const split: Infer = (call) => {
  const x = call.input(0);
  const axis = axisOf(call, call.int('axis'), x.shape.length);
  const length = x.shape[axis] ?? 0;
  const piece = (size: Dim) => ({ dtype: x.dtype, shape: withAxis(x.shape, axis, size) });
  const sizes = call.inputs[1] ? call.constantInts(1) : undefined;
  if (call.inputs[1] && !sizes) return call.failShapes('the sizes must be a constant');
  const parts = sizes?.length ?? call.int('num_outputs', call.outputs ?? 1);
  if (parts !== (call.outputs ?? parts)) call.failShapes(`${parts} parts are not ${call.outputs} outputs`);
  if (sizes) {
    const fits = sizes.every((size) => size >= 0) && sizes.reduce((a, b) => a + b, 0) === length;
    return fits ? sizes.map(piece) : call.failShapes(`sizes ${sizes.join('+')} on axis ${axis} of length ${length}`);
  }
  const size = parts > 0 ? dimDivide(length, parts) : undefined;
  if (size === undefined) return call.failShapes(`axis ${axis} of length ${length} does not divide into ${parts}`);
  return Array.from({ length: parts }, () => piece(size));
};

export const slice: Infer = (call) => {
  const x = call.input(0);
  const [starts, ends] = [call.constantInts(1), call.constantInts(2)];
  const axes = call.inputs[3] ? call.constantInts(3) : starts?.map((_, i) => i);
  const steps = call.inputs[4] ? call.constantInts(4) : starts?.map(() => 1);
  if (!starts || !ends || !axes || !steps) {
    const given = call.given?.[0]?.shape ?? call.failShapes('bounds must be constants');
    if (given.length !== x.shape.length) call.failShapes(`${formatShape(given)} has another rank`);
    return [{ dtype: x.dtype, shape: given }];
  }
  if (![ends, axes, steps].every((list) => list.length === starts.length)) {
    call.failShapes('starts, ends, axes and steps differ in length');
  }
  const shape = [...x.shape];
  axes.forEach((a, i) => {
    const axis = axisOf(call, a, shape.length);
    const [length = 1, start = 0, end = 0] = [shape[axis], starts[i], ends[i]];
    const said = call.given?.[0]?.shape[axis];
    const isClipped = said !== undefined && said === clippedLength(length, start, end);
    shape[axis] = isClipped ? said : sliceLength(call, length, start, end, steps[i] ?? 1);
  });
  return [{ dtype: x.dtype, shape }];
};

/** Length of `start:end` on an axis that may be shorter, which the caller has to say; a clipped axis is not clipped again. */
function clippedLength(length: Dim, start: number, end: number): Dim | undefined {
  if (start < 0 || end < start || String(length).includes('min(')) return undefined;
  return dimSub(dimMin(length, end >= 2 ** 31 ? Infinity : end), dimMin(length, start));
}

export const gather: Infer = (call) => {
  const [x, indices] = [call.input(0), call.input(1)];
  requireDtype(call, indices, 'int32', 'int64');
  const axis = axisOf(call, call.int('axis'), x.shape.length);
  return [{ dtype: x.dtype, shape: [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)] }];
};

/** Constant axes, each named once. */
function distinctAxes(call: OperatorCall, rank: (count: number) => number): Set<number> {
  const axes = call.constantInts(1) ?? call.failShapes('the axes must be a constant');
  const chosen = new Set(axes.map((a) => axisOf(call, a, rank(axes.length))));
  if (chosen.size !== axes.length) call.failShapes(`axes [${axes.join(', ')}] name one twice`);
  return chosen;
}

export const unsqueeze: Infer = (call) => {
  const x = call.input(0);
  const chosen = distinctAxes(call, (count) => x.shape.length + count);
  let next = 0;
  const rank = x.shape.length + chosen.size;
  const shape = Array.from({ length: rank }, (_, i): Dim => (chosen.has(i) ? 1 : (x.shape[next++] ?? 1)));
  return [{ dtype: x.dtype, shape }];
};

export const squeeze: Infer = (call) => {
  const x = call.input(0);
  const chosen = distinctAxes(call, () => x.shape.length);
  for (const a of chosen) if (x.shape[a] !== 1) call.failShapes(`axis ${a} is ${x.shape[a]}, not 1`);
  return [{ dtype: x.dtype, shape: x.shape.filter((_, i) => !chosen.has(i)) }];
};

/** A target computed in the graph needs a given type. */
export const expand: Infer = (call) => {
  const x = call.input(0);
  const target = call.constantInts(1);
  const said = target && broadcast(call, [x, { shape: target }]);
  const shape = call.given?.[0]?.shape ?? said ?? call.failShapes('the target is computed: give the type');
  agree(call, said, shape);
  if (formatShape(broadcast(call, [x, { shape }])) !== formatShape(shape)) {
    call.failShapes(`it does not broadcast to ${formatShape(shape)}`);
  }
  return [{ dtype: x.dtype, shape }];
};

export const shapeOf: Infer = (call) => {
  const rank = call.input(0).shape.length;
  const clamp = (x: number) => Math.min(Math.max(x < 0 ? x + rank : x, 0), rank);
  return [{ dtype: 'int64', shape: [Math.max(0, clamp(call.int('end', rank)) - clamp(call.int('start')))] }];
};

/** float32 zeros. */
export const constantOfShape: Infer = (call) => {
  const said = call.constantInts(0);
  const shape = call.given?.[0]?.shape ?? said ?? call.failShapes('the shape is computed: give the type');
  agree(call, said, shape);
  return [{ dtype: 'float32', shape }];
};
