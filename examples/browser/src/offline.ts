/**
 * Keeps the built page on this machine. In development there is nothing to keep.
 *
 * @param withWebGpu also what only pages with WebGPU need
 * @returns what became of it, a sentence
 */
export async function keepForOffline(withWebGpu: boolean): Promise<string> {
  if (import.meta.env.DEV) return 'The development server keeps nothing for use without a network.';
  if (!('serviceWorker' in navigator)) return 'This browser cannot keep the page for use without a network.';
  try {
    await navigator.serviceWorker.register(new URL('service-worker.js', document.baseURI));
    const { active } = await navigator.serviceWorker.ready;
    const answer = await ask(active, withWebGpu ? 'all' : 'always');
    if (answer === 'kept') return 'This page now works without a network, too.';
    return `The page could not be kept for use without a network: ${answer}`;
  } catch (error) {
    return `The page could not be kept for use without a network: ${error instanceof Error ? error.message : error}`;
  }
}

function ask(worker: ServiceWorker | null, what: string): Promise<string> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.addEventListener('message', ({ data }: MessageEvent<string>) => resolve(data));
    port1.start();
    worker?.postMessage(what, [port2]);
  });
}
