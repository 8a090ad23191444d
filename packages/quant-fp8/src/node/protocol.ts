import type { Fp8ErrorCode } from '../errors.ts';
import type { Fp8Format } from '../formats.ts';
import type { Grouping } from '../grouping.ts';
import type { WeightDtype } from '../internal/weight-dtype.ts';
import type { Measured, Work } from '../internal/work.ts';

/** Bytes of a tensor: a range of a file, or in memory where a hook has seen them. */
export type Bytes = { readonly file: string; readonly offset: number } | { readonly data: Uint8Array };

/** One tensor's work. Offsets are in the file that is written; the last one is not used where there are no scales. */
export type Task =
  | (Work & { readonly from: Bytes; readonly to: number; readonly scaleTo: number })
  | {
      readonly kind: 'dequantize';
      readonly name: string;
      readonly dtype: WeightDtype;
      readonly format: Fp8Format;
      readonly grouping: Grouping;
      readonly codes: Bytes;
      readonly scale: Bytes;
      readonly to: number;
    };

export type Reply =
  | { readonly measured: Measured | null }
  | { readonly failed: { code: Fp8ErrorCode; problem: string; remedy: string; tensor: string; file?: string } };

/** What a worker is started with: the file that it writes into. */
export interface WorkerStart {
  readonly output: string;
  /** how errors call that file */
  readonly outputName: string;
}
