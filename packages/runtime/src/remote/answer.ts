import type { HostTensor } from '@musubi/onnx-graph';

import type { HostDataType } from '../tensors.ts';
import type { Runtime, Session } from '../types.ts';
import type { Call, CallMessage, PackedTensor, Reply, Result } from './protocol.ts';

import { copyBytes, packError, unpackTensor } from './protocol.ts';

/** What is used of a message port: Node's, or the one of a worker in a browser. */
export interface Port {
  postMessage(message: unknown, transfer?: ArrayBuffer[]): void;
}

/** The worker's side: carries out calls on its runtime and replies to each. */
export function createAnswers(runtime: Runtime, port: Port): (message: CallMessage) => Promise<void> {
  const sessions = new Map<number, Session>();

  return async ({ id, call }) => {
    try {
      const result = await answer(id, call);
      send(port, { kind: 'done', id, result }, buffersOf(result));
    } catch (error) {
      send(port, { kind: 'failed', id, error: packError(error) }, []);
    }
  };

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
    if (call.kind === 'end-profile') {
      await session.endProfile();
      return {};
    }
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

/** Moves the buffers; copies them where the engine's memory cannot be moved. */
export function send(port: Port, reply: Reply, buffers: ArrayBuffer[]): void {
  try {
    port.postMessage(reply, buffers);
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'DataCloneError') throw error;
    port.postMessage(reply);
  }
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

function mapValues<T, U>(entries: readonly (readonly [string, T])[], map: (value: T) => U): Record<string, U> {
  return Object.fromEntries(entries.map(([key, value]) => [key, map(value)]));
}
