import type { Fp8ErrorCode } from '../errors.ts';
import type { Fp8Format } from '../formats.ts';
import type { Grouping } from '../grouping.ts';
import type { WeightDtype } from '../internal/weight-dtype.ts';

/** Bytes of a tensor: a range of a file, or in memory where a hook has seen them. */
export type Bytes = { readonly file: string; readonly offset: number } | { readonly data: Uint8Array };

interface Weight {
  readonly name: string;
  readonly dtype: WeightDtype;
  readonly format: Fp8Format;
  readonly grouping: Grouping;
}

/** One tensor's work. Offsets are in the file that is written. */
export type Task =
  | { readonly kind: 'copy'; readonly name: string; readonly from: Bytes; readonly to: number; readonly length: number }
  | ({
      readonly kind: 'quantize';
      readonly from: Bytes;
      readonly codesTo: number;
      readonly scaleTo: number;
      /** in which scales are stored; they are rounded to that of the weight */
      readonly scaleDtype: WeightDtype;
    } & Weight)
  | {
      readonly kind: 'int8';
      readonly name: string;
      readonly dtype: WeightDtype;
      readonly from: Bytes;
      readonly count: number;
      readonly codesTo: number;
      readonly scaleTo: number;
    }
  | {
      readonly kind: 'cast';
      readonly name: string;
      readonly dtype: WeightDtype;
      readonly format: Fp8Format;
      readonly from: Bytes;
      readonly count: number;
      readonly to: number;
    }
  | {
      readonly kind: 'widen';
      readonly name: string;
      readonly dtype: WeightDtype;
      readonly from: Bytes;
      readonly count: number;
      readonly to: number;
    }
  | ({ readonly kind: 'dequantize'; readonly codes: Bytes; readonly scale: Bytes; readonly to: number } & Weight);

/** What is known of a weight once it is quantized. */
export interface Measured {
  readonly relativeError: number;
  readonly squaredNorm: number;
}

export type Reply =
  | { readonly measured: Measured | null }
  | { readonly failed: { code: Fp8ErrorCode; problem: string; remedy: string; tensor: string; file?: string } };

/** What a worker is started with: the file that it writes into. */
export interface WorkerStart {
  readonly output: string;
  /** how errors call that file */
  readonly outputName: string;
}
