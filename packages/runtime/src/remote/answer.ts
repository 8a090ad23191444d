import type { HostTensor } from '@musubi/onnx-graph';

import type { HostDataType } from '../tensors.ts';
import type { Runtime, Session } from '../types.ts';
import type { Call, CallMessage, Handle, PackedTensor, Reply, Result } from './protocol.ts';

import { type Handles, createHandles } from './handles.ts';
import { copyBytes, packError, unpackTensor } from './protocol.ts';

/** What is used of a message port: Node's, or the one of a worker in a browser. */
export interface Port {
  postMessage(message: unknown, transfer?: ArrayBuffer[]): void;
}

/** The worker's side: carries out calls on its runtime and replies to each. */
export function createAnswers(runtime: Runtime, port: Port): (message: CallMessage) => Promise<void> {
  const sessions = new Map<number, Session>();
  const handles = createHandles();

  return async ({ id, call }) => {
    let result: Result = {};
    try {
      result = await answer(id, call);
      send(port, { kind: 'done', id, result }, buffersOf(result));
    } catch (error) {
      // the caller never hears of them
      await handles.free(Object.values(result.kept ?? {}).map(({ handle }) => handle));
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
    if (call.kind === 'read') return { read: pack(await handles.find(call.handle).read()) };
    if (call.kind === 'free') {
      await handles.free(call.handles);
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
      handles.forget(call.session);
      await session.release();
      return {};
    }
    if (call.kind === 'run-on-device') return runOnDevice(session, call, handles);
    const feeds = Object.entries(call.feeds);
    const outputs = await session.run(mapValues(feeds, unpackTensor), call.outputs);
    return { outputs: packAll(outputs), spare: mapValues(feeds, ({ buffer }) => buffer) };
  }
}

type DeviceCall = Extract<Call, { kind: 'run-on-device' }>;

async function runOnDevice(session: Session, call: DeviceCall, handles: Handles): Promise<Result> {
  const entries = Object.entries(call.feeds);
  const feeds = mapValues(entries, (feed) => (isHandle(feed) ? handles.find(feed.handle) : unpackTensor(feed)));
  const { outputs, kept } = await session.runOnDevice(feeds);
  try {
    const spare = entries.flatMap(([name, feed]) => (isHandle(feed) ? [] : [[name, feed.buffer] as const]));
    return { outputs: packAll(outputs), spare: Object.fromEntries(spare), kept: handles.add(call.session, kept) };
  } catch (error) {
    for (const tensor of Object.values(kept)) await tensor.release();
    throw error;
  }
}

const isHandle = (feed: PackedTensor | Handle): feed is Handle => 'handle' in feed;

/** Moves the buffers; copies them where the engine's memory cannot be moved. */
export function send(port: Port, reply: Reply, buffers: ArrayBuffer[]): void {
  try {
    port.postMessage(reply, buffers);
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'DataCloneError') throw error;
    port.postMessage(reply);
  }
}

const packAll = (tensors: Readonly<Record<string, HostTensor>>) => mapValues(Object.entries(tensors), pack);

/** Output arrays of ONNX Runtime own their buffer and move as they are; a view of a larger one is copied. */
function pack({ dtype, shape, data }: HostTensor): PackedTensor {
  const whole = data.buffer instanceof ArrayBuffer && data.byteLength === data.buffer.byteLength;
  const buffer = whole ? (data.buffer as ArrayBuffer) : copyBytes(data);
  return { dtype: dtype as HostDataType, shape, buffer };
}

function buffersOf({ outputs = {}, spare = {}, read }: Result): ArrayBuffer[] {
  const tensors = [...Object.values(outputs), ...(read ? [read] : [])];
  return [...new Set([...tensors.map(({ buffer }) => buffer), ...Object.values(spare)])];
}

function mapValues<T, U>(entries: readonly (readonly [string, T])[], map: (value: T) => U): Record<string, U> {
  return Object.fromEntries(entries.map(([key, value]) => [key, map(value)]));
}
