import type { Dim, Shape } from '../dim.ts';
import type { DataType } from '../dtype.ts';
import type { Value } from '../graph.ts';
import type { OperatorCall } from './infer.ts';

import { dimSub } from '../dim.ts';
import { isFloat } from '../dtype.ts';

/** NumPy broadcasting of symbolic shapes; a symbol only meets itself or 1. */
export function broadcast(call: OperatorCall, values: readonly { readonly shape: Shape }[]): Dim[] {
  const rank = Math.max(...values.map((v) => v.shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    let result: Dim = 1;
    for (const { shape } of values) {
      const dim = shape[axis - rank + shape.length] ?? 1;
      if (dim === 1 || dim === result) continue;
      if (result !== 1) call.failShapes(`axis ${axis - rank} has ${result} and ${dim}`);
      result = dim;
    }
    return result;
  });
}

export function axisOf(call: OperatorCall, axis: number, rank: number): number {
  const index = axis < 0 ? axis + rank : axis;
  if (!(index >= 0 && index < rank)) call.failShapes(`there is no axis ${axis}`);
  return index;
}

export const present = (call: OperatorCall): Value[] => call.inputs.filter((v) => v !== null);

export function sameDtype(call: OperatorCall, values: readonly Value[]): DataType {
  const dtype = values[0]?.dtype ?? 'float32';
  const other = values.find((v) => v.dtype !== dtype);
  if (other) call.fail(`mixes ${dtype} and ${other.dtype} (${other.name}).`, 'Cast one of them.');
  return dtype;
}

export function requireFloat(call: OperatorCall, value: Value): void {
  if (!isFloat(value.dtype)) {
    call.fail(`of ${value.name}, which is ${value.dtype}.`, 'It computes with float16, bfloat16, float32 or float64.');
  }
}

/** Anything but bool and the 8-bit floats, which are storage only. */
export function requireNumber(call: OperatorCall, value: Value): void {
  if (value.dtype === 'bool' || value.dtype.startsWith('float8')) {
    call.fail(`of ${value.name}, which is ${value.dtype}.`, 'Cast it to a float or an integer.');
  }
}

export function requireDtype(call: OperatorCall, value: Value, ...dtypes: readonly DataType[]): void {
  if (!dtypes.includes(value.dtype)) {
    call.fail(`of ${value.name}, which is ${value.dtype}.`, `It takes ${dtypes.join(', ')}.`);
  }
}

export const withAxis = (shape: Shape, axis: number, dim: Dim): Dim[] => shape.map((d, i) => (i === axis ? dim : d));

/** Length of `start:end:step` on an axis of length `dim`; open ends are clamped like ONNX does. */
export function sliceLength(call: OperatorCall, dim: Dim, start: number, end: number, step: number): Dim {
  if (step === 0) call.failShapes('a step of 0 never ends');
  if (typeof dim === 'number') {
    const [low, high] = step < 0 ? [-1, dim - 1] : [0, dim];
    const clamp = (x: number) => Math.min(Math.max(x < 0 ? x + dim : x, low), high);
    return Math.max(0, Math.ceil((clamp(end) - clamp(start)) / step));
  }
  const open = end >= 2 ** 31;
  if (step === 1 && start >= 0 && open) return dimSub(dim, start);
  if (step === 1 && start >= 0 && end >= start && !open) return end - start;
  return call.failShapes(`cannot tell the length of ${start}:${end}:${step} on an axis of length ${dim}`);
}
