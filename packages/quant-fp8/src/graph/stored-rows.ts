import type { DataType, ExternalData, Graph, Value } from '@musubi/onnx-graph';

/** A tensor in a file. */
export interface StoredTensor {
  readonly name: string;
  readonly dtype: DataType;
  readonly shape: readonly number[];
  readonly external: ExternalData;
}

/** Rows `start … end` (exclusive) along the first axis. */
export interface Rows {
  readonly start: number;
  readonly end: number;
}

export interface RowsRequest {
  /** Default: all. */
  readonly rows?: Rows | undefined;
  /** What the bytes are read as; default: what they are. */
  readonly dtype?: DataType;
  /** Of one row, default: as stored. */
  readonly rowShape?: readonly number[];
}

/** Initializers of `target` for rows of tensors that stay where they are in their file, each made once. */
export function createStoredRows() {
  const made = new Map<string, Value>();
  return (stored: StoredTensor, target: Graph, request: RowsRequest = {}): Value => {
    const [count = 1, ...row] = stored.shape;
    const { rows, dtype = stored.dtype, rowShape = row } = request;
    const { start, end } = rows ?? { start: 0, end: count };
    const name = `${stored.name}.${dtype}.${start}_${end}`;
    const known = made.get(name);
    if (known) return known;
    const { location, offset, length } = stored.external;
    const bytes = length / count;
    const shape = stored.shape.length === 0 ? [] : [end - start, ...rowShape];
    const range = { location, offset: offset + start * bytes, length: (end - start) * bytes };
    const value = target.external(name, dtype, shape, range);
    made.set(name, value);
    return value;
  };
}
