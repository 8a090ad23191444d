import { Worker } from 'node:worker_threads';

import type { Reply } from '../remote/protocol.ts';
import type { WorkerClient } from '../remote/remote-runtime.ts';
import type { RuntimeInfo } from '../types.ts';
import type { WorkerStart } from './worker-start.ts';

import { createCalls, describe } from '../remote/calls.ts';
import { busyFlag, exitingFlag } from './worker-start.ts';

/** Starts the worker thread and waits until ONNX Runtime is loaded in it. */
export async function startWorker(enginePath: string, url: URL): Promise<{ client: WorkerClient; info: RuntimeInfo }> {
  const flags = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(url, { workerData: { enginePath, flags } satisfies WorkerStart, execArgv: [] });
  let closing: Promise<void> | undefined;
  const calls = createCalls((message, buffers) => {
    worker.ref();
    worker.postMessage(message, buffers);
  });

  const ended = new Promise<void>((resolve) => {
    worker.once('exit', (code) => {
      live.delete(flags);
      calls.fail(`the worker thread ended with code ${code}`, undefined);
      resolve();
    });
  });
  worker.on('error', (error) => calls.fail(`the worker thread failed: ${describe(error)}`, error));
  worker.on('message', (reply: Reply) => {
    calls.settle(reply);
    // an idle worker does not keep the process alive; a closing one does until it has ended
    if (calls.isIdle && !closing) worker.unref();
  });
  waitAtExit(flags);

  async function close(): Promise<void> {
    if (calls.hasFailed) return ended;
    worker.ref();
    await calls.call({ kind: 'close' }, 'runtime');
    return ended;
  }

  const info = await calls.ready;
  return { client: { call: calls.call, close: () => (closing ??= close()) }, info };
}

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
