import type { HostTensor } from '@musubi/onnx-graph';
import type { InferenceSession, Tensor } from 'onnxruntime-common';

import type { Runtime, RuntimeInfo, Session, SessionRequest } from './types.ts';

import { RuntimeError } from './error.ts';
import { explain } from './explain.ts';
import { checkFeeds, checkOutputs } from './feeds.ts';
import { toSessionOptions } from './session-options.ts';
import { checkTensor, toHostTensor } from './tensors.ts';

/** What is used of `onnxruntime-node`, `onnxruntime-web` or another module with the API of `onnxruntime-common`. */
export interface OrtModule {
  readonly InferenceSession: {
    create(model: Uint8Array, options?: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: new (type: Tensor.Type, data: Tensor.DataType, dims: readonly number[]) => Tensor;
  readonly env: { readonly versions: object };
}

export interface RuntimeOptions {
  /** Called with each request before its session is created, e.g. to resolve files. */
  readonly prepare?: (request: SessionRequest) => Promise<SessionRequest>;
}

/**
 * A runtime on a given ONNX Runtime module, in the calling thread: a run blocks it in Node. For browsers, for tests, and
 * inside the worker of the Node entry.
 */
export function createRuntime(ort: OrtModule, options: RuntimeOptions = {}): Runtime {
  const inOrder = createQueue();
  const open = new Set<() => Promise<void>>();
  let closing: Promise<void> | undefined;

  async function createSession(request: SessionRequest): Promise<Session> {
    const { label = 'model', profileFilePrefix } = request;
    refuseIf(closing, label);
    return inOrder(async () => {
      const session = await load(ort, options.prepare ? await options.prepare(request) : refuseFiles(request), label);
      return manage(session, profileFilePrefix !== undefined, label);
    });
  }

  /** A function of its own, so that what a session keeps does not keep its request, which may hold gigabytes. */
  function manage(session: InferenceSession, isProfiled: boolean, label: string): Session {
    const endProfile = once(async () => {
      if (isProfiled) session.endProfiling();
    });
    const dispose = once(async () => {
      open.delete(dispose);
      await unload(session, endProfile, label);
    });
    open.add(dispose);
    return wrap(session, endProfile, dispose, label);
  }

  function wrap(
    session: InferenceSession,
    endProfile: () => Promise<void>,
    dispose: () => Promise<void>,
    label: string,
  ): Session {
    let released: Promise<void> | undefined;
    return {
      inputNames: session.inputNames,
      outputNames: session.outputNames,
      async run(feeds, outputs = session.outputNames) {
        refuseIf(closing, label);
        if (released) {
          throw new RuntimeError('SESSION_RELEASED', 'the session was released.', 'Create it again.', { label });
        }
        return inOrder(() => runOnce(ort, session, feeds, outputs, label));
      },
      endProfile: () => inOrder(endProfile),
      release() {
        released ??= inOrder(dispose);
        return released;
      },
    };
  }

  return {
    info: describe(ort),
    createSession,
    close() {
      closing ??= inOrder(async () => {
        // a session that cannot be released does not keep the others
        const results = await Promise.allSettled([...open].map((dispose) => dispose()));
        const failed = results.find((r) => r.status === 'rejected');
        if (failed) throw failed.reason;
      });
      return closing;
    },
  };
}

/** Runs functions one after another; a failed one does not stop the next. */
function createQueue(): <T>(operation: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (operation) => {
    const result = last.then(operation);
    last = result.catch(() => undefined);
    return result;
  };
}

function once(operation: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => (done ??= operation());
}

function refuseIf(closing: unknown, label: string): void {
  if (closing) throw new RuntimeError('RUNTIME_CLOSED', 'the runtime was closed.', 'Create a new one.', { label });
}

/** @throws {RuntimeError} `BAD_OPTION` when files are named */
export function refuseFiles(request: SessionRequest): SessionRequest {
  if (!request.externalFiles) return request;
  throw new RuntimeError(
    'BAD_OPTION',
    'externalFiles needs the files of a computer.',
    'Use @musubi/runtime/node, or give the contents in externalData.',
    { label: request.label },
  );
}

async function load(ort: OrtModule, request: SessionRequest, label: string): Promise<InferenceSession> {
  try {
    return await ort.InferenceSession.create(request.model, toSessionOptions(request));
  } catch (error) {
    throw explain(error, 'CREATE_FAILED', { label });
  }
}

async function unload(session: InferenceSession, endProfile: () => Promise<void>, label: string): Promise<void> {
  try {
    await endProfile();
    await session.release();
  } catch (error) {
    throw explain(error, 'RUN_FAILED', { label });
  }
}

async function runOnce(
  ort: OrtModule,
  session: InferenceSession,
  feeds: Readonly<Record<string, HostTensor>>,
  outputs: readonly string[],
  label: string,
): Promise<Record<string, HostTensor>> {
  checkFeeds(session, feeds, label);
  checkOutputs(session, outputs, label);
  const tensors = Object.entries(feeds).map(([name, tensor]): [string, Tensor] => {
    const dtype = checkTensor(name, tensor, { label });
    return [name, new ort.Tensor(dtype, tensor.data as Tensor.DataType, tensor.shape)];
  });
  try {
    const results = await session.run(Object.fromEntries(tensors), [...outputs]);
    const hosted: Record<string, HostTensor> = {};
    for (const name of outputs) {
      const tensor = results[name];
      if (!tensor) throw new RuntimeError('INTERNAL', `internal: no output "${name}".`, 'Please report it.', { label });
      hosted[name] = toHostTensor(tensor.type, tensor.dims, await tensor.getData());
    }
    return hosted;
  } catch (error) {
    throw explain(error, 'RUN_FAILED', { label });
  }
}

function describe({ env }: OrtModule): RuntimeInfo {
  const versions = Object.entries(env.versions).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  const [kind, version] = versions.find(([name]) => name !== 'common') ?? versions[0] ?? ['common', 'unknown'];
  return { engine: `onnxruntime-${kind}`, version, thread: 'caller' };
}
