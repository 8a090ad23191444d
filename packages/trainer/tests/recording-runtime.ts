import type { HostTensor } from '@musubi/onnx-graph';
import type { Runtime } from '@musubi/runtime';

/** One call of a graph. */
export interface Call {
  readonly feeds: Readonly<Record<string, HostTensor>>;
  readonly outputs: Readonly<Record<string, HostTensor>>;
}

/** Passes everything on and keeps copies in `calls`: the trainer changes the parameters in place. */
export function recording(runtime: Runtime, calls: Call[]): Runtime {
  return {
    ...runtime,
    async createSession(request) {
      const session = await runtime.createSession(request);
      return {
        ...session,
        async run(feeds, wanted) {
          const before = structuredClone(feeds);
          const outputs = await session.run(feeds, wanted);
          calls.push({ feeds: before, outputs: structuredClone(outputs) });
          return outputs;
        },
      };
    },
  };
}
