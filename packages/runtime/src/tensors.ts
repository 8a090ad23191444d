import type { DataType, HostTensor, TypedArray } from '@musubi/onnx-graph';

import type { RuntimeErrorFacts } from './error.ts';

import { RuntimeError } from './error.ts';

interface ArrayConstructor {
  readonly name: string;
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): TypedArray;
}

/**
 * The array that holds each element type which ONNX Runtime's JavaScript API can carry. bfloat16 and the 8-bit floats
 * are missing there: they live in a graph only, behind a Cast.
 */
const arrays = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
} as const satisfies Partial<Record<DataType, ArrayConstructor>>;

/** Element types of feeds and outputs. */
export type HostDataType = keyof typeof arrays;

const arrayOf = (dtype: HostDataType): ArrayConstructor => arrays[dtype];

const isHostDataType = (dtype: string): dtype is HostDataType => Object.hasOwn(arrays, dtype);

/** The array of `dtype` over a whole buffer. */
export function arrayOver(dtype: HostDataType, buffer: ArrayBuffer): TypedArray {
  return new (arrayOf(dtype))(buffer);
}

/**
 * Checks that the data of a feed can be handed over and fits its dtype and shape.
 *
 * @throws {RuntimeError} `DTYPE_UNSUPPORTED` for bfloat16 and 8-bit floats, `BAD_TENSOR` for data that do not fit
 */
export function checkTensor(name: string, tensor: HostTensor, facts: RuntimeErrorFacts): HostDataType {
  const { dtype, shape, data } = tensor;
  const about = { ...facts, tensor: name };
  const bad = (found: string, remedy: string) =>
    new RuntimeError('BAD_TENSOR', `feed "${name}" ${found}`, remedy, about);
  if (!isHostDataType(dtype)) {
    throw new RuntimeError(
      'DTYPE_UNSUPPORTED',
      `feed "${name}" is ${dtype}, which cannot enter a graph.`,
      'Feed float32 and cast it inside the graph, or keep it in a file as a weight.',
      about,
    );
  }
  if (!ArrayBuffer.isView(data)) throw bad('has no typed array as data.', `Give a ${arrays[dtype].name}.`);
  // Float16Array where there is one: ONNX Runtime hands it out
  const kind = data.constructor.name === 'Float16Array' ? Uint16Array : arrays[dtype];
  if (data.BYTES_PER_ELEMENT !== kind.BYTES_PER_ELEMENT || !fits(data, dtype)) {
    throw bad(`is ${dtype} but its data are a ${data.constructor.name}.`, `Give a ${arrays[dtype].name}.`);
  }
  if (!shape.every((d) => Number.isSafeInteger(d) && d >= 0)) {
    throw bad(`has the shape [${shape.join(', ')}].`, 'Lengths are integers of at least 0.');
  }
  const count = shape.reduce((a, b) => a * b, 1);
  if (count !== data.length) {
    throw bad(
      `has the shape [${shape.join(', ')}], that is ${count} elements, but ${data.length} in its data.`,
      'Give data that fill the shape.',
    );
  }
  return dtype;
}

/** Buffers and other subclasses are welcome. */
function fits(data: TypedArray, dtype: HostDataType): boolean {
  return data instanceof arrays[dtype] || (dtype === 'float16' && data.constructor.name === 'Float16Array');
}

/** The element type of an output of ONNX Runtime, which cannot be bfloat16 or an 8-bit float. */
export function toHostDataType(type: string): HostDataType {
  if (isHostDataType(type)) return type;
  throw new RuntimeError('INTERNAL', `internal: an output of type ${type}.`, 'Please report it.');
}

/** An output of ONNX Runtime as a host tensor; float16 as bits, whether or not there is a Float16Array. */
export function toHostTensor(dtype: string, shape: readonly number[], data: unknown): HostTensor {
  const type = toHostDataType(dtype);
  if (!ArrayBuffer.isView(data)) {
    throw new RuntimeError('INTERNAL', `internal: an output of type ${dtype} without data.`, 'Please report it.');
  }
  const array = data as TypedArray;
  if (array instanceof arrays[type]) return { dtype: type, shape, data: array };
  const { buffer, byteOffset, byteLength } = array;
  return { dtype: type, shape, data: new (arrayOf(type))(buffer, byteOffset, byteLength / array.BYTES_PER_ELEMENT) };
}
