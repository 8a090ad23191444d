/** A row-major tensor of doubles; integers and truth values (0 or 1) are held as doubles too. */
export interface Tensor64 {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

export function tensor(shape: readonly number[], values: ArrayLike<number>): Tensor64 {
  if (values.length !== sizeOf(shape))
    throw new RangeError(`[${shape.join(', ')}] does not hold ${values.length} numbers`);
  return { shape: [...shape], data: Float64Array.from(values) };
}

export const map = (x: Tensor64, f: (value: number, index: number) => number): Tensor64 => ({
  shape: x.shape,
  data: x.data.map(f),
});

export const stridesOf = (shape: readonly number[]): number[] => shape.map((_, i) => sizeOf(shape.slice(i + 1)));

/** Flat offsets met when walking `shape` row-major with these strides (0 repeats, negative walks back) from `start`. */
export function offsets(shape: readonly number[], strides: readonly number[], start = 0): Int32Array {
  let all = Int32Array.of(start);
  shape.forEach((length, axis) => {
    const next = new Int32Array(all.length * length);
    all.forEach((offset, i) => {
      for (let k = 0; k < length; k++) next[i * length + k] = offset + k * (strides[axis] ?? 0);
    });
    all = next;
  });
  return all;
}

/** The elements of `x` met on that walk, as a tensor of that shape. */
export function walk(x: Tensor64, shape: readonly number[], strides: readonly number[], start = 0): Tensor64 {
  return { shape, data: Float64Array.from(offsets(shape, strides, start), (i) => x.data[i] ?? NaN) };
}

export function transpose(x: Tensor64, perm: readonly number[]): Tensor64 {
  const strides = stridesOf(x.shape);
  return walk(
    x,
    perm.map((p) => x.shape[p] ?? NaN),
    perm.map((p) => strides[p] ?? NaN),
  );
}

/** NumPy's broadcasting of several shapes. */
export function broadcastShape(...shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((s) => s.length));
  return Array.from({ length: rank }, (_, i) => {
    const lengths = shapes.map((s) => s[i - rank + s.length] ?? 1);
    const length = lengths.find((n) => n !== 1) ?? 1;
    if (lengths.some((n) => n !== 1 && n !== length)) {
      throw new RangeError(`cannot broadcast ${shapes.map((s) => `[${s.join(', ')}]`).join(' and ')}`);
    }
    return length;
  });
}

/** `x` repeated to `shape`, to which it must broadcast. */
export function broadcastTo(x: Tensor64, shape: readonly number[]): Tensor64 {
  if (broadcastShape(x.shape, shape).join() !== shape.join()) {
    throw new RangeError(`[${x.shape.join(', ')}] does not broadcast to [${shape.join(', ')}]`);
  }
  const missing = shape.length - x.shape.length;
  const own = stridesOf(x.shape);
  const strides = shape.map((_, i) => (x.shape[i - missing] === 1 ? 0 : (own[i - missing] ?? 0)));
  return walk(x, shape, strides);
}

/** `f` of the elements of several tensors broadcast together. */
export function zip(tensors: readonly Tensor64[], f: (...values: number[]) => number): Tensor64 {
  const shape = broadcastShape(...tensors.map((t) => t.shape));
  const data = tensors.map((t) => broadcastTo(t, shape).data);
  return { shape, data: Float64Array.from({ length: sizeOf(shape) }, (_, i) => f(...data.map((d) => d[i] ?? NaN))) };
}

/** A non-negative axis. */
export function axisOf(axis: number, rank: number): number {
  const index = axis < 0 ? axis + rank : axis;
  if (!(index >= 0 && index < rank)) throw new RangeError(`no axis ${axis} in rank ${rank}`);
  return index;
}
