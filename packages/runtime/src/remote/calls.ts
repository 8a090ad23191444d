import type { RuntimeInfo } from '../types.ts';
import type { Call, CallMessage, Reply, Result } from './protocol.ts';

import { RuntimeError } from '../error.ts';
import { unpackError } from './protocol.ts';

/** The caller's side of a worker: matches its replies with the calls that wait for them. */
export interface Calls {
  /** Settles with the first reply, once ONNX Runtime is loaded. */
  readonly ready: Promise<RuntimeInfo>;
  /** Whether nothing waits for a reply. */
  readonly isIdle: boolean;
  /** Whether the worker has failed. */
  readonly hasFailed: boolean;
  /** @param buffers buffers inside `call` that move to the worker */
  call(call: Call, label: string, buffers?: readonly ArrayBuffer[]): Promise<Result>;
  settle(reply: Reply): void;
  /** Rejects what waits and every later call. */
  fail(found: string, cause: unknown): void;
}

interface Pending {
  readonly label: string;
  resolve(result: Result): void;
  reject(error: RuntimeError): void;
}

type Post = (message: CallMessage, buffers: readonly ArrayBuffer[]) => void;

export function createCalls(post: Post): Calls {
  const pending = new Map<number, Pending>();
  let nextId = 1;
  let crash: { found: string; cause: unknown } | undefined;
  const start = withResolvers<RuntimeInfo>();
  // whoever starts the worker waits for it; a later failure of one that was ready is no news here
  start.promise.catch(() => undefined);

  const take = (id: number): Pending | undefined => {
    const waiting = pending.get(id);
    pending.delete(id);
    return waiting;
  };

  return {
    ready: start.promise,
    get isIdle() {
      return pending.size === 0;
    },
    get hasFailed() {
      return crash !== undefined;
    },
    call(call, label, buffers = []) {
      if (crash) return Promise.reject(crashError(crash, label));
      const id = nextId++;
      return new Promise((resolve, reject) => {
        pending.set(id, { label, resolve, reject });
        try {
          post({ id, call }, buffers);
        } catch (cause) {
          pending.delete(id);
          reject(cannotBeSent(label, cause));
        }
      });
    },
    settle(reply) {
      if (reply.kind === 'ready') return start.resolve(reply.info);
      if (reply.kind === 'done') return take(reply.id)?.resolve(reply.result);
      return (reply.id === null ? start : take(reply.id))?.reject(unpackError(reply.error));
    },
    fail(found, cause) {
      crash ??= { found, cause };
      start.reject(crashError(crash, 'runtime'));
      for (const { label, reject } of pending.values()) reject(crashError(crash, label));
      pending.clear();
    },
  };
}

const nothing = (): void => undefined;

function withResolvers<T>() {
  let resolve: (value: T) => void = nothing;
  let reject: (error: unknown) => void = nothing;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

function crashError({ found, cause }: { found: string; cause: unknown }, label: string): RuntimeError {
  const remedy = 'Create a new runtime; if it happens again, please report it.';
  return new RuntimeError('WORKER_CRASHED', `${found}.`, remedy, { label }, { cause });
}

function cannotBeSent(label: string, cause: unknown): RuntimeError {
  const found = `it cannot be sent to the worker: ${describe(cause)}.`;
  const remedy = 'Requests and feeds hold plain data only.';
  return new RuntimeError('BAD_OPTION', found, remedy, { label }, { cause });
}

export const describe = (error: unknown): string => (error instanceof Error ? error.message : String(error));
