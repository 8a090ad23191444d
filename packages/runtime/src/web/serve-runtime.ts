import type { Runtime } from '../types.ts';
import type { CallMessage, Reply } from '../remote/protocol.ts';
import type { EngineOptions, WebOrtModule } from './engine.ts';

import { createAnswers } from '../remote/answer.ts';
import { packError } from '../remote/protocol.ts';
import { createCallerRuntime } from './caller-runtime.ts';

/** First message to a worker. */
export interface StartMessage {
  readonly kind: 'start';
  readonly options: EngineOptions;
}

/** What is used of the global scope of a worker. */
interface WorkerScope {
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
  postMessage(message: unknown, transfer?: ArrayBuffer[]): void;
}

/**
 * The worker's side of {@link createWebRuntime}: owns onnxruntime-web and all sessions. It is all that the script of the
 * worker calls, at its top:
 *
 *     import * as ort from 'onnxruntime-web/webgpu';
 *     import { serveRuntime } from '@musubi/runtime/web';
 *
 *     serveRuntime(ort);
 */
export function serveRuntime(ort: WebOrtModule): void {
  const scope = globalThis as unknown as WorkerScope;
  let answer: ((message: CallMessage) => Promise<void>) | undefined;
  let last: Promise<void> = Promise.resolve();

  scope.addEventListener('message', ({ data }) => {
    const message = data as StartMessage | CallMessage;
    last = last.then(() => ('kind' in message ? start(message) : answer?.(message)));
  });

  async function start({ options }: StartMessage): Promise<void> {
    let runtime: Runtime;
    try {
      runtime = await createCallerRuntime(ort, options);
    } catch (error) {
      scope.postMessage({ kind: 'failed', id: null, error: packError(error) } satisfies Reply, []);
      return;
    }
    answer = createAnswers(runtime, scope);
    scope.postMessage({ kind: 'ready', info: { ...runtime.info, thread: 'worker' } } satisfies Reply, []);
  }
}
