import type { MessagePort } from 'node:worker_threads';

import { createRequire } from 'node:module';

import type { OrtModule } from '../create-runtime.ts';
import type { Port } from '../remote/answer.ts';
import type { CallMessage, Reply } from '../remote/protocol.ts';
import type { Runtime } from '../types.ts';
import type { WorkerStart } from './worker-start.ts';

import { createRuntime } from '../create-runtime.ts';
import { createAnswers } from '../remote/answer.ts';
import { packError } from '../remote/protocol.ts';
import { loadError } from './engine.ts';
import { resolveExternalFiles } from './external-files.ts';
import { busyFlag, exitingFlag } from './worker-start.ts';

/** The worker's side: owns ONNX Runtime and all sessions, answers calls one after another. */
export function serve(port: MessagePort, { enginePath, flags }: WorkerStart): void {
  let runtime: Runtime;
  try {
    runtime = createRuntime(loadEngine(enginePath), { prepare: resolveExternalFiles });
  } catch (error) {
    port.postMessage({ kind: 'failed', id: null, error: packError(error) } satisfies Reply);
    return;
  }

  // else the exit of the process would wait for a thread that is gone
  process.once('exit', () => setIdle(flags));
  const answer = createAnswers(runtime, port as Port);
  let last = Promise.resolve();
  port.on('message', (message: CallMessage) => {
    last = last.then(() => whileBusy(flags, () => answer(message)));
    if (message.call.kind === 'close') last = last.then(() => port.close());
  });
  port.postMessage({ kind: 'ready', info: { ...runtime.info, thread: 'worker' } } satisfies Reply);
}

/** `require`, because the package is CommonJS and a failure to load its binary should be caught here. */
function loadEngine(path: string): OrtModule {
  try {
    return createRequire(path)(path) as OrtModule;
  } catch (error) {
    throw loadError(error);
  }
}

/** Does nothing once the process exits; else keeps it from ending before the operation is over. */
async function whileBusy(flags: Int32Array, operation: () => Promise<void>): Promise<void> {
  Atomics.store(flags, busyFlag, 1);
  if (Atomics.load(flags, exitingFlag) === 0) await operation();
  setIdle(flags);
}

function setIdle(flags: Int32Array): void {
  Atomics.store(flags, busyFlag, 0);
  Atomics.notify(flags, busyFlag);
}
