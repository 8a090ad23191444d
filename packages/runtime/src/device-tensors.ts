import type { DataType, HostTensor } from '@musubi/onnx-graph';

import type { RuntimeErrorFacts } from './error.ts';
import type { DeviceTensor, Feed } from './types.ts';

import { RuntimeError } from './error.ts';

export const isOnDevice = (feed: Feed): feed is DeviceTensor => !('data' in feed);

/** What stands behind a {@link DeviceTensor}. */
export interface Backing {
  read(): Promise<HostTensor>;
  /** Called once, when the tensor is released by itself. */
  free(): Promise<void>;
}

interface Holder {
  isReleased: boolean;
}

/** The tensors that sessions of one runtime have on the device. */
export interface DeviceTensors<B extends Backing> {
  /** Those of one session. */
  ofSession(): TensorsOfSession<B>;
  /**
   * What stands behind a tensor that is fed.
   *
   * @throws {RuntimeError} `TENSOR_RELEASED`, or `BAD_TENSOR` for one of another runtime
   */
  backing(name: string, tensor: DeviceTensor, facts: RuntimeErrorFacts): B;
}

export interface TensorsOfSession<B extends Backing> {
  add(dtype: DataType, shape: readonly number[], backing: B): DeviceTensor;
  /** From now on all are refused, those still to be added too; whoever calls this frees those that are there. */
  releaseAll(): B[];
}

export function createDeviceTensors<B extends Backing>(): DeviceTensors<B> {
  const known = new WeakMap<DeviceTensor, { readonly holder: Holder; readonly backing: B }>();

  function ofSession(): TensorsOfSession<B> {
    const live = new Map<Holder, B>();
    let isOver = false;
    return {
      add(dtype, shape, backing) {
        const holder: Holder = { isReleased: isOver };
        let freed: Promise<void> | undefined;
        const tensor: DeviceTensor = {
          dtype,
          shape,
          async read() {
            if (holder.isReleased) throw released('the tensor', {});
            return backing.read();
          },
          release() {
            if (!holder.isReleased) {
              holder.isReleased = true;
              live.delete(holder);
              freed = backing.free();
            }
            return freed ?? Promise.resolve();
          },
        };
        live.set(holder, backing);
        known.set(tensor, { holder, backing });
        return tensor;
      },
      releaseAll() {
        isOver = true;
        const backings = [...live.values()];
        for (const holder of live.keys()) holder.isReleased = true;
        live.clear();
        return backings;
      },
    };
  }

  return {
    ofSession,
    backing(name, tensor, facts) {
      const found = known.get(tensor);
      const about = { ...facts, tensor: name };
      if (!found) {
        const remedy = 'Feed tensors of this runtime, or host tensors.';
        throw new RuntimeError('BAD_TENSOR', `feed "${name}" is not a tensor of this runtime.`, remedy, about);
      }
      if (found.holder.isReleased) throw released(`feed "${name}"`, about);
      return found.backing;
    },
  };
}

const released = (what: string, facts: RuntimeErrorFacts): RuntimeError =>
  new RuntimeError(
    'TENSOR_RELEASED',
    `${what} was released, or its session was.`,
    'Keep both until nothing needs it.',
    facts,
  );
