import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import type { EightBitBase } from '../../packages/config/src/index.ts';

export type Method = EightBitBase['method'];
export type Base = Method | 'checkpoint';

export type Request = { readonly checkpoint: string; readonly threads: number } & (
  | {
      readonly kind: 'make';
      readonly method: Method;
      readonly model: 'layers' | 'wan';
      readonly sizes?: object | undefined;
    }
  | {
      readonly kind: 'layers';
      readonly base: Base;
      readonly layers: number;
      readonly sizes: readonly [number, number];
      readonly tokens: number;
      readonly rounds: number;
    }
  | { readonly kind: 'ratios'; readonly tokens: number; readonly rounds: number }
  | {
      readonly kind: 'steps';
      readonly base: Base;
      readonly task: string;
      readonly sizes?: object | undefined;
      readonly tokens: number;
      readonly steps: number;
    }
);

export interface Result {
  /** Of each step, or of making the file. */
  readonly seconds: readonly number[];
  /** Highest anonymous memory above that of the process before; elsewhere than on Linux, resident memory. */
  readonly anonymousBytes: number;
  /** Highest resident memory of the process, files that are mapped included. */
  readonly residentBytes: number;
  /** Forward and backward pass over that with the float32 base, of the same round. */
  readonly ratios?: { readonly fp8: number; readonly int8: number };
}

/** A measurement in a process of its own, so that its memory is its own. */
export async function inOwnProcess(request: Request): Promise<Result> {
  const script = fileURLToPath(new URL('measure.ts', import.meta.url));
  const args = ['--import', 'tsx', '--conditions=@musubi/source', script, JSON.stringify(request)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 2 ** 20 });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Result;
}
