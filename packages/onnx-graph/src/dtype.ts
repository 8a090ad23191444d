/** Element types by ONNX name: code in `TensorProto.DataType`, bytes an element, name in safetensors files. */
const table = {
  float32: { code: 1, bytes: 4, safetensors: 'F32' },
  uint8: { code: 2, bytes: 1, safetensors: 'U8' },
  int8: { code: 3, bytes: 1, safetensors: 'I8' },
  uint16: { code: 4, bytes: 2, safetensors: 'U16' },
  int16: { code: 5, bytes: 2, safetensors: 'I16' },
  int32: { code: 6, bytes: 4, safetensors: 'I32' },
  int64: { code: 7, bytes: 8, safetensors: 'I64' },
  bool: { code: 9, bytes: 1, safetensors: 'BOOL' },
  float16: { code: 10, bytes: 2, safetensors: 'F16' },
  float64: { code: 11, bytes: 8, safetensors: 'F64' },
  uint32: { code: 12, bytes: 4, safetensors: 'U32' },
  uint64: { code: 13, bytes: 8, safetensors: 'U64' },
  bfloat16: { code: 16, bytes: 2, safetensors: 'BF16' },
  float8e4m3fn: { code: 17, bytes: 1, safetensors: 'F8_E4M3' },
  float8e5m2: { code: 19, bytes: 1, safetensors: 'F8_E5M2' },
} as const satisfies Record<string, { code: number; bytes: number; safetensors: string }>;

export type DataType = keyof typeof table;

export const dataTypes = Object.keys(table) as DataType[];

const floats: ReadonlySet<DataType> = new Set(['float16', 'bfloat16', 'float32', 'float64']);

/** Types in which arithmetic is done. The 8-bit floats are storage only. */
export const isFloat = (dtype: DataType): boolean => floats.has(dtype);

export const bytesPerElement = (dtype: DataType): number => table[dtype].bytes;

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

/** A tensor in main memory, row-major. float16 and bfloat16 hold their bits in a Uint16Array, bool one byte an element. */
export interface HostTensor {
  readonly dtype: DataType;
  readonly shape: readonly number[];
  readonly data: TypedArray;
}
