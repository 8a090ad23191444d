import type { EightBitBase } from '../../packages/config/src/index.ts';
import type { PeakMemory } from '../peak-memory.ts';

import { runScript } from '../run-script.ts';
import { measureRequest } from './measure-request.ts';

export type Method = EightBitBase['method'];
export type Base = Method | 'checkpoint';

export type Request = { readonly checkpoint: string; readonly threads: number } & (
  | { readonly kind: 'make'; readonly method: Method }
  | {
      readonly kind: 'layers';
      readonly base: Base;
      readonly layers: number;
      readonly sizes: readonly [number, number];
      readonly tokens: number;
      readonly rounds: number;
    }
  | { readonly kind: 'ratios'; readonly sizes: object; readonly tokens: number; readonly rounds: number }
);

export interface Result extends PeakMemory {
  /** Of each round, or of making the file. */
  readonly seconds: readonly number[];
  /** Forward and backward pass over that with the float32 base, of the same round. */
  readonly ratios?: { readonly fp8: number; readonly int8: number };
}

/**
 * @param isAlone in a process of its own, so that its memory is its own; else in this one, which saves the seconds in
 *   which a process reads the sources
 */
export function measureOnce(request: Request, isAlone: boolean): Promise<Result> {
  return isAlone ? runScript<Result>(new URL('measure.ts', import.meta.url), request) : measureRequest(request);
}
