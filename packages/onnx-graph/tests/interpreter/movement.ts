import type { Implementation } from './call.ts';
import type { Tensor64 } from './tensor.ts';

import { axisOf, broadcastShape, broadcastTo, sizeOf, stridesOf, transpose, walk } from './tensor.ts';

const transposed: Implementation = (call) => {
  const x = call.input(0);
  return transpose(x, call.ints('perm') ?? [...x.shape.keys()].toReversed());
};

function reshapeTo(x: Tensor64, shape: readonly number[]): Tensor64 {
  if (sizeOf(shape) !== x.data.length)
    throw new RangeError(`[${x.shape.join(', ')}] does not fill [${shape.join(', ')}]`);
  return { shape, data: x.data };
}

/** 0 copies an axis (unless `allowzero`), -1 takes what is left. */
const reshape: Implementation = (call) => {
  const x = call.input(0);
  const copies = call.number('allowzero', 0) === 0;
  const target = (call.integers(1) ?? []).map((d, i) => (d === 0 && copies ? (x.shape[i] ?? NaN) : d));
  const rest = x.data.length / sizeOf(target.filter((d) => d !== -1));
  return reshapeTo(
    x,
    target.map((d) => (d === -1 ? rest : d)),
  );
};

const unsqueeze: Implementation = (call) => {
  const x = call.input(0);
  const axes = call.integers(1) ?? [];
  const rank = x.shape.length + axes.length;
  const added = new Set(axes.map((a) => axisOf(a, rank)));
  const rest = [...x.shape];
  return reshapeTo(
    x,
    Array.from({ length: rank }, (_, i) => (added.has(i) ? 1 : (rest.shift() ?? NaN))),
  );
};

const squeeze: Implementation = (call) => {
  const x = call.input(0);
  const axes = call.integers(1)?.map((a) => axisOf(a, x.shape.length));
  return reshapeTo(
    x,
    x.shape.filter((d, i) => (axes ? !axes.includes(i) : d !== 1)),
  );
};

/** Elements `start … start + step·(length − 1)` of one axis. */
function cut(x: Tensor64, axis: number, start: number, length: number, step = 1): Tensor64 {
  const strides = stridesOf(x.shape);
  const stride = strides[axis] ?? NaN;
  return walk(x, x.shape.with(axis, length), strides.with(axis, stride * step), start * stride);
}

/** Bounds count from the end when negative and are clamped, to the place before the first when walking back. */
const slice: Implementation = (call) => {
  const starts = call.integers(1) ?? [];
  const ends = call.integers(2) ?? [];
  let x = call.input(0);
  const axes = call.integers(3) ?? starts.map((_, i) => i);
  axes.forEach((given, i) => {
    const axis = axisOf(given, x.shape.length);
    const length = x.shape[axis] ?? NaN;
    const step = call.integers(4)?.[i] ?? 1;
    const [low, high] = step < 0 ? [-1, length - 1] : [0, length];
    const clamp = (bound = NaN) => Math.min(Math.max(bound < 0 ? bound + length : bound, low), high);
    const start = clamp(starts[i]);
    x = cut(x, axis, start, Math.max(0, Math.ceil((clamp(ends[i]) - start) / step)), step);
  });
  return x;
};

const split: Implementation = (call) => {
  const x = call.input(0);
  const axis = axisOf(call.number('axis', 0), x.shape.length);
  const length = x.shape[axis] ?? NaN;
  const parts = call.number('num_outputs', call.node.outputs.length);
  const even = Math.ceil(length / parts);
  const sizes =
    call.integers(1) ?? Array.from({ length: parts }, (_, i) => (i < parts - 1 ? even : length - even * (parts - 1)));
  let start = 0;
  return sizes.map((size) => {
    const part = cut(x, axis, start, size);
    start += size;
    return part;
  });
};

const concat: Implementation = (call) => {
  const [first] = call.present;
  const axis = axisOf(call.number('axis', 0), first?.shape.length ?? 0);
  const outer = sizeOf(first?.shape.slice(0, axis) ?? []);
  const length = call.present.reduce((total, x) => total + (x.shape[axis] ?? NaN), 0);
  const rows = Array.from({ length: outer }, (_, row) =>
    call.present.flatMap(({ data }) => [
      ...data.subarray((row * data.length) / outer, ((row + 1) * data.length) / outer),
    ]),
  );
  return { shape: first?.shape.with(axis, length) ?? [], data: Float64Array.from(rows.flat()) };
};

const gather: Implementation = (call) => {
  const [x, indices] = [call.input(0), call.input(1)];
  const axis = axisOf(call.number('axis', 0), x.shape.length);
  const length = x.shape[axis] ?? NaN;
  const picked = Array.from(indices.data, (index) => {
    if (!(index >= -length && index < length)) throw new RangeError(`index ${index} on an axis of length ${length}`);
    return index < 0 ? index + length : index;
  });
  const [before, after] = [x.shape.slice(0, axis), x.shape.slice(axis + 1)];
  const inner = sizeOf(after);
  const data = new Float64Array(sizeOf(before) * picked.length * inner);
  for (let row = 0; row < sizeOf(before); row++) {
    picked.forEach((index, i) => {
      const from = (row * length + index) * inner;
      data.set(x.data.subarray(from, from + inner), (row * picked.length + i) * inner);
    });
  }
  return { shape: [...before, ...indices.shape, ...after], data };
};

const expand: Implementation = (call) => {
  const x = call.input(0);
  return broadcastTo(x, broadcastShape(x.shape, call.integers(1) ?? []));
};

const shapeOf: Implementation = (call) => {
  const { shape } = call.input(0);
  const part = shape.slice(call.number('start', 0), call.number('end', shape.length));
  return { shape: [part.length], data: Float64Array.from(part) };
};

const constantOfShape: Implementation = (call) => {
  const shape = call.integers(0) ?? [];
  return { shape, data: new Float64Array(sizeOf(shape)) };
};

export const movement = {
  Transpose: transposed,
  Reshape: reshape,
  Concat: concat,
  Split: split,
  Slice: slice,
  Gather: gather,
  Unsqueeze: unsqueeze,
  Squeeze: squeeze,
  Expand: expand,
  Shape: shapeOf,
  ConstantOfShape: constantOfShape,
} satisfies Record<string, Implementation>;
