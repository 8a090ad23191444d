/** Whether the elements lie in row-major order without gaps; axes of one element may have any stride. */
export function isRowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  if (shape.includes(0)) return true;
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] === 1) continue;
    if (strides[axis] !== expected) return false;
    expected *= shape[axis]!;
  }
  return true;
}

/**
 * Elements from the first to behind the last one.
 *
 *     span = 1 + Σ (shapeₐ − 1)·strideₐ,  0 for an empty tensor
 */
export function spanOf(shape: readonly number[], strides: readonly number[]): number {
  if (shape.includes(0)) return 0;
  return shape.reduce((span, size, axis) => span + (size - 1) * strides[axis]!, 1);
}

/**
 * Copies a strided tensor into row-major order.
 *
 * @param span bytes from its first element on
 * @param strides in elements, ≥ 0
 * @param width bytes of an element
 */
export function toRowMajor(
  span: Uint8Array,
  shape: readonly number[],
  strides: readonly number[],
  width: number,
): Uint8Array {
  const count = shape.reduce((product, size) => product * size, 1);
  const out = new Uint8Array(count * width);
  const index = shape.map(() => 0);
  let from = 0;
  for (let to = 0; to < out.length; to += width) {
    for (let byte = 0; byte < width; byte++) out[to + byte] = span[from + byte]!;
    // the next index: the last axis counts up, a full axis starts again and carries
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]! * width;
      if (++index[axis]! < shape[axis]!) break;
      from -= shape[axis]! * strides[axis]! * width;
      index[axis] = 0;
    }
  }
  return out;
}
