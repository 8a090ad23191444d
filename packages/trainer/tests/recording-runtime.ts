import type { HostTensor } from '@musubi/onnx-graph';
import type { DeviceTensor, Feed, Runtime } from '@musubi/runtime';

type Tensors = Readonly<Record<string, HostTensor>>;

/** One call of a graph. */
export interface Call {
  /** Of the session. */
  readonly label: string;
  /** What went there; what was on the device is left out. */
  readonly feeds: Tensors;
  /** What came back. */
  readonly outputs: Tensors;
  /** What stayed, read here; empty unless `reads` asks for it. */
  readonly kept: Tensors;
}

const isHost = (entry: [string, Feed]): entry is [string, HostTensor] => 'data' in entry[1];

const hostOnly = (feeds: Readonly<Record<string, Feed>>): Tensors =>
  Object.fromEntries(Object.entries(feeds).filter(isHost));

async function readAll(kept: Readonly<Record<string, DeviceTensor>>): Promise<Tensors> {
  const entries = Object.entries(kept).map(async ([name, tensor]) => [name, await tensor.read()] as const);
  return Object.fromEntries(await Promise.all(entries));
}

/**
 * Passes everything on and keeps copies in `calls`: the trainer changes the parameters in place.
 *
 * @param reads label of the session whose results are read where they stay on the device
 */
export function recording(runtime: Runtime, calls: Call[], reads?: string): Runtime {
  return {
    ...runtime,
    async createSession(request) {
      const session = await runtime.createSession(request);
      const label = request.label ?? 'model';
      return {
        ...session,
        async run(feeds, wanted) {
          const before = structuredClone(feeds);
          const outputs = await session.run(feeds, wanted);
          calls.push({ label, feeds: before, outputs: structuredClone(outputs), kept: {} });
          return outputs;
        },
        async runOnDevice(feeds) {
          const before = structuredClone(hostOnly(feeds));
          const result = await session.runOnDevice(feeds);
          const kept = label === reads ? await readAll(result.kept) : {};
          calls.push({ label, feeds: before, outputs: structuredClone(result.outputs), kept });
          return result;
        },
      };
    },
  };
}

/** Bytes of data. */
export const bytesOf = (tensors: Tensors): number =>
  Object.values(tensors).reduce((sum, { data }) => sum + data.byteLength, 0);
