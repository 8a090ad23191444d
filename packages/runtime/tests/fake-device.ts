import type { InferenceSession } from 'onnxruntime-common';

import type { OrtModule } from '../src/index.ts';

interface FakeTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly location: string;
  readonly gpuBuffer: unknown;
  getData(): Promise<unknown>;
  dispose(): void;
}

/**
 * In place of onnxruntime-web on WebGPU: the model `y = x + 1`, `sum` of `x`, whose outputs stay on a device where they are
 * asked to. It counts what is there, and fails where `fail` says so.
 */
export function fakeDevice() {
  const onDevice = new Set<object>();
  const options: InferenceSession.SessionOptions[] = [];
  let fail: 'run' | 'read' | 'output' | null = null;

  class HostSide implements FakeTensor {
    readonly type: string;
    readonly data: unknown;
    readonly dims: readonly number[];
    readonly location = 'cpu';
    readonly gpuBuffer = null;
    constructor(type: string, data: unknown, dims: readonly number[]) {
      [this.type, this.data, this.dims] = [type, data, dims];
    }
    getData() {
      if (fail === 'read') return Promise.reject(new Error('the device was lost'));
      return Promise.resolve(this.data);
    }
    dispose(): void {}
    static fromGpuBuffer = (buffer: Buffer, { dataType, dims }: { dataType: string; dims: readonly number[] }) =>
      new DeviceSide(buffer, dataType, dims);
  }

  interface Buffer {
    readonly values: Float32Array;
  }

  /** As that of onnxruntime-common: read once it is in host memory. */
  class DeviceSide implements FakeTensor {
    readonly gpuBuffer: Buffer;
    readonly type: string;
    readonly dims: readonly number[];
    location = 'gpu-buffer';
    constructor(gpuBuffer: Buffer, type: string, dims: readonly number[]) {
      [this.gpuBuffer, this.type, this.dims] = [gpuBuffer, type, dims];
    }
    async getData() {
      if (fail === 'read') throw new Error('the device was lost');
      this.location = 'cpu';
      return this.gpuBuffer.values.slice();
    }
    dispose(): void {
      if (!onDevice.delete(this.gpuBuffer)) throw new Error('disposed twice');
    }
  }

  const valuesOf = (tensor: HostSide | DeviceSide): Float32Array => {
    if (tensor instanceof HostSide) return tensor.data as Float32Array;
    if (tensor.location !== 'gpu-buffer' || !onDevice.has(tensor.gpuBuffer)) throw new Error('not on the device');
    return tensor.gpuBuffer.values;
  };

  async function create(_: Uint8Array, given: InferenceSession.SessionOptions = {}) {
    options.push(given);
    const stays = (given.preferredOutputLocation ?? {}) as Record<string, string>;
    const make = (name: string, values: Float32Array, dims: readonly number[]) => {
      if (stays[name] !== 'gpu-buffer') return new HostSide('float32', values, dims);
      const buffer = { values };
      onDevice.add(buffer);
      return new DeviceSide(buffer, 'float32', dims);
    };
    return {
      inputNames: ['x'],
      outputNames: ['y', 'sum'],
      inputMetadata: [{ name: 'x', isTensor: true, type: 'float32', shape: ['n'] }],
      async run({ x }: { x: HostSide | DeviceSide }, outputs: readonly string[]) {
        if (fail === 'run') throw new Error('no memory');
        const values = valuesOf(x);
        const results: Record<string, unknown> = {};
        if (outputs.includes('y'))
          results['y'] = make(
            'y',
            values.map((v) => v + 1),
            x.dims,
          );
        const sum = values.reduce((a, b) => a + b, 0);
        if (outputs.includes('sum') && fail !== 'output') results['sum'] = make('sum', Float32Array.of(sum), []);
        return results;
      },
      release: async () => {},
      endProfiling: () => {},
    };
  }

  const module = { Tensor: HostSide, InferenceSession: { create }, env: { versions: { web: '0' } } };
  return {
    ort: module as unknown as OrtModule,
    options,
    /** Tensors that take up memory there. */
    get count() {
      return onDevice.size;
    },
    failAt(what: typeof fail) {
      fail = what;
    },
  };
}
