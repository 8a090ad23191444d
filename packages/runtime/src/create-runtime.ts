import type { InferenceSession, Tensor } from 'onnxruntime-common';

import type { DeviceTensors, TensorsOfSession } from './device-tensors.ts';
import type { Runs } from './session-runs.ts';
import type { Runtime, RuntimeInfo, Session, SessionRequest } from './types.ts';

import { createDeviceTensors } from './device-tensors.ts';
import { RuntimeError } from './error.ts';
import { explain } from './explain.ts';
import { checkOutputs } from './feeds.ts';
import { type KeptTensor, createRuns, disposeEach } from './session-runs.ts';
import { toSessionOptions } from './session-options.ts';

/** What is used of `onnxruntime-node`, `onnxruntime-web` or another module with the API of `onnxruntime-common`. */
export interface OrtModule {
  readonly InferenceSession: {
    create(model: Uint8Array, options?: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: {
    new (type: Tensor.Type, data: Tensor.DataType, dims: readonly number[]): Tensor;
    /** Where outputs can stay on the device. */
    readonly fromGpuBuffer?: (
      buffer: Tensor.GpuBufferType,
      options: { readonly dataType: Tensor.GpuBufferDataTypes; readonly dims: readonly number[] },
    ) => Tensor;
  };
  readonly env: { readonly versions: object };
}

export interface RuntimeOptions {
  /** Called with each request before its session is created, e.g. to resolve files. */
  readonly prepare?: (request: SessionRequest) => Promise<SessionRequest>;
  /** Whether the module can keep outputs on the device. Default false. */
  readonly keepsOnDevice?: boolean;
}

interface ManageOptions {
  readonly isProfiled: boolean;
  readonly keepOnDevice: readonly string[];
  readonly label: string;
}

/**
 * A runtime on a given ONNX Runtime module, in the calling thread: a run blocks it in Node. For browsers, for tests, and
 * inside the worker of the Node entry.
 */
export function createRuntime(ort: OrtModule, options: RuntimeOptions = {}): Runtime {
  const inOrder = createQueue();
  const open = new Set<() => Promise<void>>();
  const tensors: DeviceTensors<KeptTensor> = createDeviceTensors();
  let closing: Promise<void> | undefined;

  async function createSession(request: SessionRequest): Promise<Session> {
    const { label = 'model', profileFilePrefix, keepOnDevice = [], providers = ['webgpu'] } = request;
    refuseIf(closing, label);
    const canKeep = options.keepsOnDevice === true && providers.includes('webgpu');
    if (keepOnDevice.length > 0 && !canKeep) throw nothingStays(label);
    return inOrder(async () => {
      const session = await load(ort, options.prepare ? await options.prepare(request) : refuseFiles(request), label);
      return manage(session, { isProfiled: profileFilePrefix !== undefined, keepOnDevice: [...keepOnDevice], label });
    });
  }

  /** A function of its own, so that what a session keeps does not keep its request, which may hold gigabytes. */
  async function manage(
    session: InferenceSession,
    { isProfiled, keepOnDevice, label }: ManageOptions,
  ): Promise<Session> {
    const own = tensors.ofSession();
    const endProfile = once(async () => {
      if (isProfiled) session.endProfiling();
    });
    const dispose = once(async () => {
      open.delete(dispose);
      disposeEach(own.releaseAll());
      await unload(session, endProfile, label);
    });
    open.add(dispose);
    if (keepOnDevice.length > 0) await assertOutputs(session, keepOnDevice, label, dispose);
    return wrap(createRuns(ort, session, { label, keepOnDevice, tensors, own, inOrder }), endProfile, dispose, own);
  }

  function wrap(
    { session, label, run, runOnDevice }: Runs,
    endProfile: () => Promise<void>,
    dispose: () => Promise<void>,
    own: TensorsOfSession<KeptTensor>,
  ): Session {
    let released: Promise<void> | undefined;
    const refuseIfOver = (): void => {
      refuseIf(closing, label);
      if (!released) return;
      throw new RuntimeError('SESSION_RELEASED', 'the session was released.', 'Create it again.', { label });
    };
    return {
      inputNames: session.inputNames,
      outputNames: session.outputNames,
      async run(feeds, outputs = session.outputNames) {
        refuseIfOver();
        return run(feeds, outputs);
      },
      async runOnDevice(feeds) {
        refuseIfOver();
        return runOnDevice(feeds);
      },
      endProfile: () => inOrder(endProfile),
      release() {
        if (!released) {
          // none of them is taken by a later run, and those asked for finish first
          const kept = own.releaseAll();
          released = inOrder(async () => {
            disposeEach(kept);
            await dispose();
          });
        }
        return released;
      },
    };
  }

  return {
    info: { ...describe(ort), ...(options.keepsOnDevice ? { keepsOnDevice: true } : {}) },
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

type Queue = <T>(operation: () => Promise<T>) => Promise<T>;

/** Runs functions one after another; a failed one does not stop the next. */
function createQueue(): Queue {
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

const nothingStays = (label: string): RuntimeError =>
  new RuntimeError(
    'NOTHING_STAYS_ON_DEVICE',
    'outputs cannot stay on the device of this runtime.',
    'Leave out keepOnDevice, or use a runtime whose info.keepsOnDevice is true: WebGPU in browsers.',
    { label },
  );

async function assertOutputs(
  session: InferenceSession,
  names: readonly string[],
  label: string,
  dispose: () => Promise<void>,
): Promise<void> {
  try {
    checkOutputs(session, names, label);
  } catch (error) {
    await dispose();
    throw error;
  }
}

function describe({ env }: OrtModule): RuntimeInfo {
  const versions = Object.entries(env.versions).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  const [kind, version] = versions.find(([name]) => name !== 'common') ?? versions[0] ?? ['common', 'unknown'];
  return { engine: `onnxruntime-${kind}`, version, thread: 'caller' };
}
