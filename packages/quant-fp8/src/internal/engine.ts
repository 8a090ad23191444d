import type { Fp8Format } from '../formats.ts';
import type { WeightDtype } from './weight-dtype.ts';

/** Numbers read at a time: 2 MiB of bf16. */
export const WINDOW = 1 << 20;

/** Numbers that are worked on at a time, so that they stay in the processor's cache: 64 KiB of float32. */
export const PIECE = 1 << 14;

/**
 * The inner loops over buffers of their own, in WebAssembly or in JavaScript, with equal results. `wide` and `decoded`
 * are inside: they hold up to {@link PIECE} float32 each. Groups are runs of `size` numbers; their scales stand in `scales`.
 */
export interface Engine {
  readonly kind: 'wasm' | 'plain';
  /** {@link WINDOW} numbers of any dtype, as in the file */
  readonly raw: Uint8Array;
  /** {@link WINDOW} codes */
  readonly codes: Uint8Array;
  /** {@link PIECE} scales */
  readonly scales: Float32Array;
  /** raw → wide: `count` numbers from number `first` on */
  widen(dtype: WeightDtype, first: number, count: number): void;
  /** wide → scales: the largest magnitude of each group. Returns the largest of all; NaN counts as larger than all numbers. */
  maxima(groups: number, size: number): number;
  /** largest magnitudes → scales, in place: `max(round(amax / max), round(1e-8))`, rounded to the dtype */
  toScales(format: Fp8Format, dtype: WeightDtype, groups: number): void;
  /** wide → codes from `firstCode` on. Returns how far the numbers they stand for are from `wide`. */
  encode(format: Fp8Format, dtype: WeightDtype, groups: number, size: number, firstCode: number): SquaredErrors;
  /** codes from `firstCode` on → decoded, each multiplied by its scale */
  decode(format: Fp8Format, groups: number, size: number, firstCode: number): void;
  /** decoded → raw from number `first` on */
  narrow(dtype: WeightDtype, first: number, count: number): void;
}

export interface SquaredErrors {
  /** `Σ w²` */
  readonly norm: number;
  /** `Σ (w − ŵ)²`, where ŵ is rounded to the dtype of the weight */
  readonly distance: number;
}
