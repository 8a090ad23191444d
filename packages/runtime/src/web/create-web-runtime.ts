import type { Runtime } from '../types.ts';
import type { Reply } from '../remote/protocol.ts';
import type { EngineOptions, WebOrtModule } from './engine.ts';
import type { StartMessage } from './serve-runtime.ts';

import { RuntimeError } from '../error.ts';
import { createCalls } from '../remote/calls.ts';
import { createRemoteRuntime } from '../remote/remote-runtime.ts';
import { createCallerRuntime } from './caller-runtime.ts';

export interface WebRuntimeOptions extends EngineOptions {
  /**
   * A worker whose script calls {@link serveRuntime}. It belongs to the runtime from now on: `close()` ends it, which also
   * frees what it has on the GPU.
   */
  readonly worker?: Worker;
  /** `onnxruntime-web`, to run in the calling thread: a run on the CPU blocks it. Not together with `worker`. */
  readonly ort?: WebOrtModule;
}

/**
 * A runtime on onnxruntime-web, in a worker of its own or in the calling thread.
 *
 * @throws {RuntimeError} (rejects) `PROVIDER_UNAVAILABLE` where there is no WebGPU and it is asked for, `BAD_OPTION`,
 *   `WORKER_CRASHED` when the worker's script fails
 */
export async function createWebRuntime({ worker, ort, ...options }: WebRuntimeOptions): Promise<Runtime> {
  if (worker && !ort) return startWorker(worker, options);
  if (ort && !worker) return createCallerRuntime(ort, options);
  throw new RuntimeError(
    'BAD_OPTION',
    worker ? 'both a worker and a module are given.' : 'neither a worker nor a module is given.',
    'Give a worker whose script calls serveRuntime(ort), or onnxruntime-web as ort.',
  );
}

async function startWorker(worker: Worker, options: EngineOptions): Promise<Runtime> {
  const calls = createCalls((message, buffers) => worker.postMessage(message, [...buffers]));
  worker.addEventListener('message', ({ data }: MessageEvent<Reply>) => calls.settle(data));
  worker.addEventListener('messageerror', ({ data }) => calls.fail('a message of the worker cannot be read', data));
  worker.addEventListener('error', (event) => {
    // a script that cannot be loaded gives an event without a message
    const why = event.message || 'its script cannot be loaded';
    calls.fail(`the worker failed: ${why}`, event.error ?? new Error(why));
  });
  worker.postMessage({ kind: 'start', options } satisfies StartMessage, []);

  async function close(): Promise<void> {
    try {
      if (!calls.hasFailed) await calls.call({ kind: 'close' }, 'runtime');
    } finally {
      worker.terminate();
    }
  }

  try {
    return createRemoteRuntime({ call: calls.call, close }, await calls.ready);
  } catch (error) {
    worker.terminate();
    throw error;
  }
}
