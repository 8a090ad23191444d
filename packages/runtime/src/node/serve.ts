import type { HostTensor } from '@musubi/onnx-graph';
import type { MessagePort, TransferListItem } from 'node:worker_threads';

import { createRequire } from 'node:module';

import type { OrtModule } from '../create-runtime.ts';
import type { HostDataType } from '../tensors.ts';
import type { Runtime, Session } from '../types.ts';
import type { Call, CallMessage, PackedTensor, Reply, Result, WorkerStart } from './protocol.ts';

import { createRuntime } from '../create-runtime.ts';
import { loadError } from './engine.ts';
import { resolveExternalFiles } from './external-files.ts';
import { busyFlag, copyBytes, exitingFlag, packError, unpackTensor } from './protocol.ts';

/** The worker's side: owns ONNX Runtime and all sessions, answers calls one after another. */
export function serve(port: MessagePort, { enginePath, flags }: WorkerStart): void {
  const sessions = new Map<number, Session>();
  let runtime: Runtime;
  try {
    runtime = createRuntime(loadEngine(enginePath), { prepare: resolveExternalFiles });
  } catch (error) {
    port.postMessage({ kind: 'failed', id: null, error: packError(error) } satisfies Reply);
    return;
  }

  // else the exit of the process would wait for a thread that is gone
  process.once('exit', () => setIdle(flags));
  let last = Promise.resolve();
  port.on('message', ({ id, call }: CallMessage) => {
    last = last.then(() => whileBusy(flags, () => reply(id, call)));
  });
  port.postMessage({ kind: 'ready', info: { ...runtime.info, thread: 'worker' } } satisfies Reply);

  async function reply(id: number, call: Call): Promise<void> {
    try {
      const result = await answer(id, call);
      send(port, { kind: 'done', id, result }, buffersOf(result));
    } catch (error) {
      send(port, { kind: 'failed', id, error: packError(error) }, []);
    }
    if (call.kind === 'close') port.close();
  }

  async function answer(id: number, call: Call): Promise<Result> {
    if (call.kind === 'create') {
      const session = await runtime.createSession(call.request);
      sessions.set(id, session);
      return { created: { session: id, inputNames: session.inputNames, outputNames: session.outputNames } };
    }
    if (call.kind === 'close') {
      await runtime.close();
      return {};
    }
    const session = sessions.get(call.session);
    if (!session) throw new Error(`no session ${call.session}`);
    if (call.kind === 'release') {
      sessions.delete(call.session);
      await session.release();
      return {};
    }
    const feeds = Object.entries(call.feeds);
    const outputs = await session.run(mapValues(feeds, unpackTensor), call.outputs);
    return { outputs: mapValues(Object.entries(outputs), pack), spare: mapValues(feeds, ({ buffer }) => buffer) };
  }
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

/** Output arrays of ONNX Runtime own their buffer and move as they are; a view of a larger one is copied. */
function pack({ dtype, shape, data }: HostTensor): PackedTensor {
  const whole = data.buffer instanceof ArrayBuffer && data.byteLength === data.buffer.byteLength;
  const buffer = whole ? (data.buffer as ArrayBuffer) : copyBytes(data);
  return { dtype: dtype as HostDataType, shape, buffer };
}

function buffersOf({ outputs = {}, spare = {} }: Result): ArrayBuffer[] {
  return [...new Set([...Object.values(outputs).map(({ buffer }) => buffer), ...Object.values(spare)])];
}

/** Moves the buffers; copies them where the engine's memory cannot be moved. */
export function send(port: Pick<MessagePort, 'postMessage'>, reply: Reply, buffers: readonly TransferListItem[]): void {
  try {
    port.postMessage(reply, buffers);
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'DataCloneError') throw error;
    port.postMessage(reply);
  }
}

function mapValues<T, U>(entries: readonly (readonly [string, T])[], map: (value: T) => U): Record<string, U> {
  return Object.fromEntries(entries.map(([key, value]) => [key, map(value)]));
}
