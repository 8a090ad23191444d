import type { HostTensor } from '@musubi/onnx-graph';

import type { ExternalContent, Runtime, RuntimeInfo, Session, SessionRequest } from '../types.ts';
import type { Calls } from './calls.ts';
import type { PackedTensor } from './protocol.ts';

import { RuntimeError } from '../error.ts';
import { checkTensor } from '../tensors.ts';
import { copyBytes, unpackTensor } from './protocol.ts';

/** The way to a worker. */
export interface WorkerClient {
  readonly call: Calls['call'];
  /** Lets the calls already made finish and ends the worker. */
  close(): Promise<void>;
}

/** A runtime whose sessions live in a worker. */
export function createRemoteRuntime(client: WorkerClient, info: RuntimeInfo): Runtime {
  let closing: Promise<void> | undefined;

  async function createSession(request: SessionRequest): Promise<Session> {
    const label = request.label ?? 'model';
    refuseIf(closing, label);
    const own = ownBytes(request);
    const { created } = await client.call({ kind: 'create', request: own }, label, buffersOf(own));
    if (!created)
      throw new RuntimeError('INTERNAL', 'internal: no session in the reply.', 'Please report it.', { label });
    const { session, inputNames, outputNames } = created;
    const run = createRun(client, session, label);
    let released: Promise<void> | undefined;
    return {
      inputNames,
      outputNames,
      async run(feeds, outputs) {
        refuseIf(closing, label);
        if (!released) return run(feeds, outputs);
        throw new RuntimeError('SESSION_RELEASED', 'the session was released.', 'Create it again.', { label });
      },
      async endProfile() {
        if (!released && !closing) await client.call({ kind: 'end-profile', session }, label);
      },
      release() {
        released ??= closing ?? client.call({ kind: 'release', session }, label).then(() => undefined);
        return released;
      },
    };
  }

  return {
    info,
    createSession,
    close() {
      closing ??= client.close();
      return closing;
    },
  };
}

/**
 * How tensors cross: feeds are copied once into buffers that move to the worker and come back with the result, outputs
 * move. In Node, 100 MB in and 100 MB out take 46 ms that way, 85 ms with new buffers for each run, 223 ms by structured
 * clone, and 28 ms without a worker (2 cores, DDR5).
 */
function createRun(client: WorkerClient, session: number, label: string): Session['run'] {
  let spare: Readonly<Record<string, ArrayBuffer>> = {};
  return async (feeds, outputs) => {
    const ready = spare;
    spare = {};
    const packed = Object.entries(feeds).map(([name, tensor]): [string, PackedTensor] => {
      const dtype = checkTensor(name, tensor, { label });
      return [name, { dtype, shape: [...tensor.shape], buffer: copyBytes(tensor.data, ready[name]) }];
    });
    const buffers = packed.map(([, { buffer }]) => buffer);
    const call = { kind: 'run', session, feeds: Object.fromEntries(packed), ...(outputs ? { outputs } : {}) } as const;
    const result = await client.call(call, label, buffers);
    spare = result.spare ?? {};
    const unpacked = Object.entries(result.outputs ?? {}).map(([name, t]): [string, HostTensor] => [
      name,
      unpackTensor(t),
    ]);
    return Object.fromEntries(unpacked);
  };
}

/** Copies of all bytes, which may move: views of larger buffers would be sent with the whole buffer. */
function ownBytes(request: SessionRequest): SessionRequest {
  const { externalData, model } = request;
  const contents = Object.entries(externalData ?? {}).map(
    ([location, content]) => [location, content instanceof Uint8Array ? own(content) : content] as const,
  );
  return { ...request, model: own(model), ...(externalData ? { externalData: Object.fromEntries(contents) } : {}) };
}

const own = (bytes: Uint8Array): Uint8Array => new Uint8Array(copyBytes(bytes));

function buffersOf({ model, externalData = {} }: SessionRequest): ArrayBuffer[] {
  return [model, ...Object.values(externalData)].flatMap((content: ExternalContent) =>
    content instanceof Uint8Array && content.buffer instanceof ArrayBuffer ? [content.buffer] : [],
  );
}

function refuseIf(closing: unknown, label: string): void {
  if (closing) throw new RuntimeError('RUNTIME_CLOSED', 'the runtime was closed.', 'Create a new one.', { label });
}
