import type { HostTensor } from '@musubi/onnx-graph';
import type { DeviceRun, DeviceTensor, Feed, Runtime } from '@musubi/runtime';

/**
 * A runtime whose sessions run on the host and whose outputs pretend to stay on a device: they are seen only through
 * `read`, are gone once released, and `live` counts them.
 */
export function pretendDevice(runtime: Runtime) {
  const memory = new Map<DeviceTensor, HostTensor>();
  let crossed = 0;

  const look = (tensor: Feed): HostTensor => {
    if ('data' in tensor) {
      crossed += tensor.data.byteLength;
      return tensor;
    }
    const found = memory.get(tensor);
    if (found) return found;
    throw new Error('a tensor was used after its release');
  };

  function put(value: HostTensor): DeviceTensor {
    const tensor: DeviceTensor = {
      dtype: value.dtype,
      shape: value.shape,
      async read() {
        const { dtype, shape, data } = look(tensor);
        crossed += data.byteLength;
        return { dtype, shape, data: data.slice() };
      },
      release: async () => void memory.delete(tensor),
    };
    memory.set(tensor, { ...value, data: value.data.slice() });
    return tensor;
  }

  const lookAll = (feeds: Readonly<Record<string, Feed>>): Record<string, HostTensor> =>
    Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, look(tensor)]));

  function split(results: Readonly<Record<string, HostTensor>>, stays: (name: string) => boolean): DeviceRun {
    const [outputs, kept]: [DeviceRun['outputs'], DeviceRun['kept']] = [{}, {}];
    for (const [name, tensor] of Object.entries(results)) {
      if (stays(name)) kept[name] = put(tensor);
      else [outputs[name], crossed] = [tensor, crossed + tensor.data.byteLength];
    }
    return { outputs, kept };
  }

  const pretending: Runtime = {
    ...runtime,
    async createSession({ keepOnDevice = [], ...request }) {
      const session = await runtime.createSession(request);
      const own = new Set<DeviceTensor>();
      return {
        ...session,
        async runOnDevice(feeds) {
          const run = split(await session.run(lookAll(feeds)), (name) => keepOnDevice.includes(name));
          for (const tensor of Object.values(run.kept)) own.add(tensor);
          return run;
        },
        async release() {
          for (const tensor of own) memory.delete(tensor);
          await session.release();
        },
      };
    },
  };

  return {
    runtime: pretending,
    /** Tensors that take up memory there. */
    get live() {
      return memory.size;
    },
    /** Bytes of data between host and device since the last call. */
    takeCrossed() {
      const bytes = crossed;
      crossed = 0;
      return bytes;
    },
  };
}
