import type { HostTensor } from '@musubi/onnx-graph';
import type { InferenceSession, Tensor } from 'onnxruntime-common';

import type { OrtModule } from './create-runtime.ts';
import type { Backing, DeviceTensors, TensorsOfSession } from './device-tensors.ts';
import type { DeviceRun, Feed, Session } from './types.ts';

import { isOnDevice } from './device-tensors.ts';
import { RuntimeError } from './error.ts';
import { explain } from './explain.ts';
import { checkFeeds, checkOutputs } from './feeds.ts';
import { checkTensor, toHostDataType, toHostTensor } from './tensors.ts';

/** An output of ONNX Runtime that stayed where it was computed. */
export interface KeptTensor extends Backing {
  /** What the engine is fed. */
  readonly fed: Tensor;
  dispose(): void;
}

/** The two ways to run a session. */
export interface Runs extends Required<Pick<Session, 'run' | 'runOnDevice'>> {
  readonly session: InferenceSession;
  readonly label: string;
}

export interface RunsOptions {
  readonly label: string;
  readonly keepOnDevice: readonly string[];
  readonly tensors: DeviceTensors<KeptTensor>;
  /** Those of this session. */
  readonly own: TensorsOfSession<KeptTensor>;
  /** Runs functions one after another. */
  readonly inOrder: <T>(operation: () => Promise<T>) => Promise<T>;
}

type Feeds = Readonly<Record<string, Feed>>;
type Results = Readonly<Record<string, Tensor | undefined>>;

export function createRuns(ort: OrtModule, session: InferenceSession, options: RunsOptions): Runs {
  const { label, tensors, own, inOrder } = options;
  const stays = new Set(options.keepOnDevice);
  let hasFailed = false;

  function toEngine(feeds: Feeds): Record<string, Tensor> {
    checkFeeds(session, feeds, label);
    const entries = Object.entries(feeds).map(([name, feed]): [string, Tensor] => {
      if (isOnDevice(feed)) return [name, tensors.backing(name, feed, { label }).fed];
      const dtype = checkTensor(name, feed, { label });
      return [name, new ort.Tensor(dtype, feed.data as Tensor.DataType, feed.shape)];
    });
    return Object.fromEntries(entries);
  }

  async function compute(feeds: Record<string, Tensor>, outputs: readonly string[]): Promise<Results> {
    if (hasFailed) {
      const found = 'an earlier run failed, whose feeds ONNX Runtime would take again.';
      throw new RuntimeError('RUN_FAILED', found, 'Create the session again.', { label });
    }
    try {
      return await session.run(feeds, [...outputs]);
    } catch (error) {
      hasFailed = stays.size > 0;
      throw explain(error, 'RUN_FAILED', { label });
    }
  }

  async function run(feeds: Feeds, outputs: readonly string[] = session.outputNames) {
    checkOutputs(session, outputs, label);
    const fed = toEngine(feeds);
    return inOrder(async () => {
      // where outputs stay on the device, ONNX Runtime wants all to be asked for
      const results = await compute(fed, stays.size > 0 ? session.outputNames : outputs);
      try {
        const hosted: Record<string, HostTensor> = {};
        for (const name of outputs) hosted[name] = await toHost(take(results, name, label));
        return hosted;
      } catch (error) {
        throw explain(error, 'RUN_FAILED', { label });
      } finally {
        if (stays.size > 0) disposeEach(Object.values(results));
      }
    });
  }

  async function runOnDevice(feeds: Feeds): Promise<DeviceRun> {
    const fed = toEngine(feeds);
    return inOrder(async () => {
      const results = await compute(fed, session.outputNames);
      const outputs: DeviceRun['outputs'] = {};
      const staying: [string, HostTensor['dtype'], KeptTensor][] = [];
      try {
        for (const name of session.outputNames) {
          const tensor = take(results, name, label);
          if (stays.has(name)) staying.push([name, toHostDataType(tensor.type), keep(tensor)]);
          else outputs[name] = await toHost(tensor);
        }
      } catch (error) {
        if (stays.size > 0) disposeEach(Object.values(results));
        throw explain(error, 'RUN_FAILED', { label });
      }
      const kept: DeviceRun['kept'] = {};
      for (const [name, dtype, backing] of staying) kept[name] = own.add(dtype, backing.fed.dims, backing);
      return { outputs, kept };
    });
  }

  function keep(tensor: Tensor): KeptTensor {
    let host: HostTensor | undefined;
    const dispose = () => tensor.dispose();
    return {
      fed: toFeed(ort, tensor),
      dispose,
      free: () => inOrder(async () => dispose()),
      read: () =>
        inOrder(async () => {
          try {
            host ??= await toHost(tensor);
            return { ...host, data: host.data.slice() };
          } catch (error) {
            throw explain(error, 'RUN_FAILED', { label });
          }
        }),
    };
  }

  return { session, label, run, runOnDevice };
}

/**
 * ONNX Runtime's tensor is one in host memory once its data were read. So what is fed is another one over the same buffer.
 * A tensor without elements is in host memory from the start.
 */
function toFeed({ Tensor }: OrtModule, tensor: Tensor): Tensor {
  if (tensor.location !== 'gpu-buffer' || !Tensor.fromGpuBuffer) return tensor;
  const { type, dims } = tensor;
  return Tensor.fromGpuBuffer(tensor.gpuBuffer, { dataType: type as Tensor.GpuBufferDataTypes, dims });
}

function take(results: Results, name: string, label: string): Tensor {
  const tensor = results[name];
  if (tensor) return tensor;
  throw new RuntimeError('INTERNAL', `internal: no output "${name}".`, 'Please report it.', { label });
}

const toHost = async (tensor: Tensor): Promise<HostTensor> =>
  toHostTensor(tensor.type, tensor.dims, await tensor.getData());

/** One that cannot be freed does not keep the others. */
export function disposeEach(tensors: Iterable<{ dispose(): void } | undefined>): void {
  for (const tensor of tensors) {
    try {
      tensor?.dispose();
    } catch {
      // its memory ends with the session
    }
  }
}
