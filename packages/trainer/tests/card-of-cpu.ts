import type { ExternalContent, Runtime, RuntimeInfo, SessionRequest } from '@musubi/runtime';

/** Passes for the runtime of a page on some device, but computes on the CPU of Node.js; keeps what it was asked for. */
export function cardOfCpu(
  runtime: Runtime,
  info: Pick<RuntimeInfo, 'device' | 'webGpu'>,
  requests: SessionRequest[],
): Runtime {
  return {
    info: { ...runtime.info, ...info },
    async createSession(request) {
      const externalData = await inMemory(request.externalData ?? {});
      requests.push({ ...request, externalData });
      return runtime.createSession({ ...request, externalData, onDeviceOnly: false });
    },
    close: async () => {},
  };
}

async function inMemory(contents: Readonly<Record<string, ExternalContent>>): Promise<Record<string, Uint8Array>> {
  const entries = Object.entries(contents).map(async ([location, content]) => {
    if (!(content instanceof Blob)) throw new Error(`${location} is no Blob`);
    return [location, new Uint8Array(await content.arrayBuffer())] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}
