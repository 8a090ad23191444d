import { inspectWebGpu } from '@musubi/runtime/web';

/** What training in a page profits from, and whether this browser has it. */
export interface Capability {
  readonly name: string;
  readonly available: boolean;
  /** What it means here, sentences. */
  readonly text: string;
}

export interface Capabilities {
  readonly webGpu: Capability;
  readonly all: readonly Capability[];
}

export async function findCapabilities(): Promise<Capabilities> {
  const gpu = await inspectWebGpu();
  const webGpu: Capability = {
    name: 'Graphics card (WebGPU)',
    available: gpu.available,
    text: gpu.available
      ? 'It computes in 32-bit floats, so that a checkpoint of 16 bits takes twice its size there.'
      : sentence(gpu.reason, gpu.remedy),
  };
  return { webGpu, all: [webGpu, threads(), memory(), folders(), worksOffline(), wakeLock()] };
}

function threads(): Capability {
  return {
    name: 'Several threads on the processor',
    available: globalThis.crossOriginIsolated,
    text: globalThis.crossOriginIsolated
      ? `Half of the ${navigator.hardwareConcurrency} logical processors are used, at most 8.`
      : 'One thread is used, as this page is not cross-origin isolated. Its server has to send Cross-Origin-Opener-Policy: ' +
        'same-origin and Cross-Origin-Embedder-Policy: require-corp.',
  };
}

function memory(): Capability {
  return {
    name: 'More than 4 GB for the processor',
    available: false,
    text:
      'No browser gives ONNX Runtime more. Base weights in 8 bits, under "More settings", take the least; larger models train ' +
      'with npx @musubi/cli.',
  };
}

function folders(): Capability {
  const available = 'webkitdirectory' in HTMLInputElement.prototype;
  return {
    name: 'Choosing a folder',
    available,
    text: available ? 'With all files in it.' : 'Drop the folder, or choose all of its files one by one.',
  };
}

function worksOffline(): Capability {
  const available = 'serviceWorker' in navigator;
  return {
    name: 'Working without a network',
    available,
    text: available
      ? 'Once the page says so below, it starts without a network too.'
      : 'This needs service workers: serve the page by https or from localhost, not in a private window.',
  };
}

function wakeLock(): Capability {
  const available = 'wakeLock' in navigator;
  return {
    name: 'Keeping the screen on',
    available,
    text: available
      ? 'While a run is under way and this tab is in front.'
      : 'Set the machine not to sleep during a long run.',
  };
}

const sentence = (reason: string, remedy: string): string =>
  `${reason.charAt(0).toUpperCase()}${reason.slice(1)}. ${remedy}`;
