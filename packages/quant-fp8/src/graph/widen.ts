import { cast, gate, mul, reshape } from '@musubi/onnx-graph';
import type { DataType, ParameterSource, Rewriter, Value } from '@musubi/onnx-graph';
import { groupingOf } from '../grouping.ts';
import type { Grouping } from '../grouping.ts';
import { scaleKey } from '../targets.ts';
import { createScales } from './rewrite-codes.ts';
import { createStoredRows } from './stored-rows.ts';
import type { Rows } from './stored-rows.ts';

/** From codes to float32. */
export interface Decoder {
  /** The type that the bytes of the file are read as; default: their own. */
  readonly as?: DataType;
  readonly decode: (codes: Value) => Value;
  /** Makes `decode` wait for values; default: codes and scale wait in a Reshape, whose target other devices read on the host. */
  readonly wait?: (codes: Value, after: readonly Value[]) => Value;
  /** What decoded numbers are still to be multiplied with: a power of two, which scales take up. Default 1. */
  readonly unit?: number;
}

/** The scale of codes, and which of them share one. */
export interface Scaling {
  readonly scale: Value;
  readonly grouping: Grouping;
}

export function scalingOf(codes: Value, scale: Value, shape = codes.shape.map(Number)): Scaling {
  return { scale, grouping: groupingOf(shape, scale.shape.map(Number), codes.name) };
}

/** Makes the numbers of a weight, or of some of its rows, not before `after`. */
export type Widen = (codes: Value, dtype: DataType, after: readonly Value[], rewriter: Rewriter, rows?: Rows) => Value;

export interface WidenOptions {
  readonly decoderOf: (codes: Value) => Decoder;
  /** Round to the dtype of the scale, where there is one. */
  readonly round: boolean;
}

/** `decode(codes) · scale` by one operator after another, in the same memory where the runtime can. */
export function createWiden(source: ParameterSource, { decoderOf, round }: WidenOptions): Widen {
  const scales = createScales(source);
  const storedRows = createStoredRows();

  return (codes, dtype, after, { target }, rows) => {
    const stored = { name: codes.name, dtype: codes.dtype, shape: codes.shape.map(Number), external: codes.external! };
    const [, ...row] = stored.shape;
    const shape = rows ? [rows.end - rows.start, ...row] : stored.shape;
    const found = scales.find(codes);
    const scale =
      rows && found && found.shape.length > 1
        ? storedRows({ ...found, name: scaleKey(codes.name) }, target, { rows })
        : scales.of(codes, target);
    const scaling = scale && scalingOf(codes, scale, shape);

    const { as = codes.dtype, decode, wait, unit = 1 } = decoderOf(codes);
    const atGate = (value: Value) => (after.length === 0 ? value : gate(value, after));
    const waitingCodes = (value: Value) => (wait ? wait(value, after) : atGate(value));
    // float32 scales have no pass of their own that could run too early
    const waitingScale = (value: Value) => (wait && value.dtype === 'float32' ? value : atGate(value));
    const inUnits = (value: Value) => (unit === 1 ? value : mul(value, unit));
    const rowShape = scaling ? rowShapeOf(row, scaling) : row;
    const decoded = decode(waitingCodes(storedRows(stored, target, { rows, dtype: as, rowShape })));
    const numbers = scale ? mul(decoded, inUnits(cast(waitingScale(scale), 'float32'))) : inUnits(decoded);
    const wide = rowShape === row ? numbers : reshape(numbers, shape);
    return cast(scale && round ? cast(wide, scale.dtype) : wide, dtype);
  };
}

/** Groups of a row on an axis of their own: scales broadcast, and the product is computed in place. */
function rowShapeOf(row: readonly number[], { scale, grouping: { mode, size } }: Scaling): readonly number[] {
  return mode === 'block' ? [Number(scale.shape[1]), size] : row;
}
