import type { DataType, HostTensor } from '@musubi/onnx-graph';

import type { RuntimeErrorCode, RuntimeErrorFacts } from '../error.ts';
import type { HostDataType } from '../tensors.ts';
import type { RuntimeInfo, SessionRequest } from '../types.ts';

import { RuntimeError, isRuntimeError } from '../error.ts';
import { arrayOver } from '../tensors.ts';

export type Call =
  | { readonly kind: 'create'; readonly request: SessionRequest }
  | {
      readonly kind: 'run';
      readonly session: number;
      readonly feeds: PackedTensors;
      readonly outputs?: readonly string[];
    }
  | {
      readonly kind: 'run-on-device';
      readonly session: number;
      readonly feeds: Readonly<Record<string, PackedTensor | Handle>>;
    }
  | { readonly kind: 'read'; readonly handle: number }
  | { readonly kind: 'free'; readonly handles: readonly number[] }
  | { readonly kind: 'end-profile'; readonly session: number }
  | { readonly kind: 'release'; readonly session: number }
  | { readonly kind: 'close' };

export interface CallMessage {
  readonly id: number;
  readonly call: Call;
}

export type Reply =
  | { readonly kind: 'ready'; readonly info: RuntimeInfo }
  | { readonly kind: 'done'; readonly id: number; readonly result: Result }
  | { readonly kind: 'failed'; readonly id: number | null; readonly error: PackedError };

export interface Result {
  readonly created?: {
    readonly session: number;
    readonly inputNames: readonly string[];
    readonly outputNames: readonly string[];
  };
  readonly outputs?: PackedTensors;
  readonly kept?: Readonly<Record<string, KeptHandle>>;
  readonly read?: PackedTensor;
  /** Buffers of the feeds, handed back so that the next run need not allocate. */
  readonly spare?: Readonly<Record<string, ArrayBuffer>>;
}

/** A tensor whose buffer holds nothing else, so that it can move to the other thread. */
export interface PackedTensor {
  readonly dtype: HostDataType;
  readonly shape: readonly number[];
  readonly buffer: ArrayBuffer;
}
export type PackedTensors = Readonly<Record<string, PackedTensor>>;

/** The number of a tensor that stays on the worker's device. */
export interface Handle {
  readonly handle: number;
}

export interface KeptHandle extends Handle {
  readonly dtype: DataType;
  readonly shape: readonly number[];
}

export const unpackTensor = ({ dtype, shape, buffer }: PackedTensor): HostTensor => ({
  dtype,
  shape,
  data: arrayOver(dtype, buffer),
});

/** A copy of the bytes of a view in a buffer of their own; into `spare` where that has the right size. */
export function copyBytes(view: ArrayBufferView, spare?: ArrayBuffer): ArrayBuffer {
  const { buffer, byteOffset, byteLength } = view;
  if (spare?.byteLength === byteLength) {
    new Uint8Array(spare).set(new Uint8Array(buffer, byteOffset, byteLength));
    return spare;
  }
  if (buffer instanceof ArrayBuffer) return buffer.slice(byteOffset, byteOffset + byteLength);
  const copy = new Uint8Array(byteLength);
  copy.set(new Uint8Array(buffer, byteOffset, byteLength));
  return copy.buffer;
}

/** An error as plain data: of error classes, only the built-in ones survive the way between threads. */
export interface PackedError {
  readonly code: RuntimeErrorCode;
  readonly found: string;
  readonly remedy: string;
  readonly facts: RuntimeErrorFacts;
  readonly cause: Error | undefined;
}

export function packError(error: unknown): PackedError {
  if (isRuntimeError(error)) {
    const { code, found, remedy, label, node, operator, tensor, path, bytes, cause } = error;
    return { code, found, remedy, facts: { label, node, operator, tensor, path, bytes }, cause: asError(cause) };
  }
  const found = `internal: ${error instanceof Error ? error.message : String(error)}`;
  return { code: 'INTERNAL', found, remedy: 'Please report it.', facts: {}, cause: asError(error) };
}

export function unpackError({ code, found, remedy, facts, cause }: PackedError): RuntimeError {
  return new RuntimeError(code, found, remedy, facts, cause ? { cause } : undefined);
}

/** A plain Error, because objects that others throw may hold what cannot be sent. */
function asError(error: unknown): Error | undefined {
  if (error === undefined) return undefined;
  if (!(error instanceof Error)) return new Error(String(error));
  const plain = new Error(error.message);
  plain.name = error.name;
  if (error.stack) plain.stack = error.stack;
  return plain;
}
