/** Element types by ONNX name: code in `TensorProto.DataType`, array that holds them, name in safetensors files. */
const table = {
  float32: { code: 1, array: Float32Array, safetensors: 'F32' },
  uint8: { code: 2, array: Uint8Array, safetensors: 'U8' },
  int8: { code: 3, array: Int8Array, safetensors: 'I8' },
  uint16: { code: 4, array: Uint16Array, safetensors: 'U16' },
  int16: { code: 5, array: Int16Array, safetensors: 'I16' },
  int32: { code: 6, array: Int32Array, safetensors: 'I32' },
  int64: { code: 7, array: BigInt64Array, safetensors: 'I64' },
  bool: { code: 9, array: Uint8Array, safetensors: 'BOOL' },
  float16: { code: 10, array: Uint16Array, safetensors: 'F16' },
  float64: { code: 11, array: Float64Array, safetensors: 'F64' },
  uint32: { code: 12, array: Uint32Array, safetensors: 'U32' },
  uint64: { code: 13, array: BigUint64Array, safetensors: 'U64' },
  bfloat16: { code: 16, array: Uint16Array, safetensors: 'BF16' },
  float8e4m3fn: { code: 17, array: Uint8Array, safetensors: 'F8_E4M3' },
  float8e5m2: { code: 19, array: Uint8Array, safetensors: 'F8_E5M2' },
} as const satisfies Record<string, { code: number; array: ArrayType; safetensors: string }>;

export type DataType = keyof typeof table;

export const dataTypes = Object.keys(table) as DataType[];

const floats: ReadonlySet<DataType> = new Set(['float16', 'bfloat16', 'float32', 'float64']);

/** Types in which arithmetic is done. The 8-bit floats are storage only. */
export const isFloat = (dtype: DataType): boolean => floats.has(dtype);

export const bytesPerElement = (dtype: DataType): number => table[dtype].array.BYTES_PER_ELEMENT;

/** The typed array that holds elements of `dtype` in a {@link HostTensor}. */
export const arrayTypeOf = (dtype: DataType): ArrayType => table[dtype].array;

/** `TensorProto.DataType` code. */
export const onnxCode = (dtype: DataType): number => table[dtype].code;

export const fromOnnxCode = (code: number): DataType | undefined => dataTypes.find((d) => table[d].code === code);

/** The element type that a safetensors header calls `name`, e.g. `BF16`. */
export const fromSafetensors = (name: string): DataType | undefined =>
  dataTypes.find((d) => table[d].safetensors === name);

export type TypedArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** Constructor of a {@link TypedArray} over a buffer. */
export interface ArrayType {
  readonly name: string;
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer): TypedArray;
}

/** A tensor in main memory, row-major. float16 and bfloat16 hold their bits in a Uint16Array, bool one byte an element. */
export interface HostTensor {
  readonly dtype: DataType;
  readonly shape: readonly number[];
  readonly data: TypedArray;
}
