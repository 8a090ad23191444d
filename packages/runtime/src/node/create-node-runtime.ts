import { resolve } from 'node:path';

import type { Runtime, SessionRequest } from '../types.ts';

import { defaultMemoryPlan } from '../memory-plan.ts';
import { createRemoteRuntime } from '../remote/remote-runtime.ts';
import { allowedThreads } from './allowed-threads.ts';
import { findEngine } from './engine.ts';
import { startWorker } from './worker-client.ts';
import { workerScript } from './worker-script.ts';

export interface NodeRuntimeOptions {
  /** File of the ONNX Runtime module, default: the installed onnxruntime-node. */
  readonly enginePath?: string;
  /** Where this package's `dist/worker.js` is, for programs whose bundler moves this module away from it. */
  readonly workerUrl?: URL;
}

/**
 * A runtime on onnxruntime-node in one worker thread, so that the event loop of the caller stays responsive during runs.
 *
 * The process may end at any time when no call is pending, whether or not the runtime was closed. A run cannot be
 * interrupted: `process.exit()` during one waits for its end.
 *
 * @throws {RuntimeError} (rejects) `ENGINE_MISSING`, `ENGINE_UNSUPPORTED_PLATFORM`, `ENGINE_LOAD_FAILED`
 */
export async function createNodeRuntime(options: NodeRuntimeOptions = {}): Promise<Runtime> {
  const enginePath = options.enginePath === undefined ? findEngine().path : resolve(options.enginePath);
  const { client, info } = await startWorker(enginePath, options.workerUrl ?? workerScript());
  const runtime = createRemoteRuntime(client, info);
  return { ...runtime, createSession: (request) => runtime.createSession(withThreads(request)) };
}

function withThreads(request: SessionRequest): SessionRequest {
  const { memory = defaultMemoryPlan } = request;
  const threads = memory.threads ?? allowedThreads();
  return threads === undefined ? request : { ...request, memory: { ...memory, threads } };
}
