import type { TransferListItem } from 'node:worker_threads';

import { Worker } from 'node:worker_threads';

import type { RuntimeInfo } from '../types.ts';
import type { Call, CallMessage, Reply, Result, WorkerStart } from './protocol.ts';

import { RuntimeError } from '../error.ts';
import { busyFlag, exitingFlag, unpackError } from './protocol.ts';

/** Sends calls to the worker and matches its replies. */
export interface WorkerClient {
  /** @param buffers buffers inside `call` that move to the worker */
  call(call: Call, label: string, buffers?: readonly TransferListItem[]): Promise<Result>;
  close(): Promise<void>;
}

interface Pending {
  readonly label: string;
  resolve(result: Result): void;
  reject(error: RuntimeError): void;
}

/** Starts the worker thread and waits until ONNX Runtime is loaded in it. */
export async function startWorker(enginePath: string, url: URL): Promise<{ client: WorkerClient; info: RuntimeInfo }> {
  const flags = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(url, { workerData: { enginePath, flags } satisfies WorkerStart, execArgv: [] });
  const pending = new Map<number, Pending>();
  let nextId = 1;
  let crash: { found: string; cause: unknown } | undefined;
  let closing: Promise<void> | undefined;

  const ended = new Promise<void>((resolve) => {
    worker.once('exit', (code) => {
      live.delete(flags);
      fail(`the worker thread ended with code ${code}`, undefined);
      resolve();
    });
  });
  worker.on('error', (error) => fail(`the worker thread failed: ${describe(error)}`, error));
  waitAtExit(flags);

  function fail(found: string, cause: unknown): void {
    crash ??= { found, cause };
    for (const { label, reject } of pending.values()) reject(crashError(crash, label));
    pending.clear();
  }

  function settle(reply: Reply): void {
    if (reply.kind === 'ready' || reply.id === null) return;
    const waiting = pending.get(reply.id);
    pending.delete(reply.id);
    // an idle worker does not keep the process alive; a closing one does until it has ended
    if (pending.size === 0 && !closing) worker.unref();
    if (reply.kind === 'done') waiting?.resolve(reply.result);
    else waiting?.reject(unpackError(reply.error));
  }

  function call(request: Call, label: string, buffers: readonly TransferListItem[] = []): Promise<Result> {
    if (crash) return Promise.reject(crashError(crash, label));
    const id = nextId++;
    return new Promise((resolve, reject) => {
      pending.set(id, { label, resolve, reject });
      worker.ref();
      try {
        worker.postMessage({ id, call: request } satisfies CallMessage, buffers);
      } catch (cause) {
        pending.delete(id);
        const remedy = 'Requests and feeds hold plain data only.';
        reject(
          new RuntimeError(
            'BAD_OPTION',
            `it cannot be sent to the worker: ${describe(cause)}.`,
            remedy,
            { label },
            { cause },
          ),
        );
      }
    });
  }

  async function close(): Promise<void> {
    if (crash) return ended;
    worker.ref();
    await call({ kind: 'close' }, 'runtime');
    return ended;
  }

  const info = await new Promise<RuntimeInfo>((resolve, reject) => {
    pending.set(0, { label: 'runtime', resolve: () => undefined, reject });
    worker.once('message', (reply: Reply) => {
      pending.delete(0);
      if (reply.kind === 'ready') resolve(reply.info);
      else reject(reply.kind === 'failed' ? unpackError(reply.error) : new Error('unexpected first message'));
    });
  });
  worker.on('message', settle);
  worker.unref();
  return { client: { call, close: () => (closing ??= close()) }, info };
}

function crashError({ found, cause }: { found: string; cause: unknown }, label: string): RuntimeError {
  const remedy = 'Create a new runtime; if it happens again, please report it.';
  return new RuntimeError('WORKER_CRASHED', `${found}.`, remedy, { label }, { cause });
}

const describe = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Flags of the workers of this process. */
const live = new Set<Int32Array>();
let isWatching = false;

/**
 * Ending a thread inside ONNX Runtime aborts the whole process (status 134 instead of its own), and Node ends all threads
 * when it exits. So an exit waits for the operations that run and lets no other begin.
 */
function waitAtExit(flags: Int32Array): void {
  live.add(flags);
  if (isWatching) return;
  isWatching = true;
  process.on('exit', () => {
    for (const each of live) Atomics.store(each, exitingFlag, 1);
    for (const each of live) while (Atomics.load(each, busyFlag) === 1) Atomics.wait(each, busyFlag, 1);
  });
}
