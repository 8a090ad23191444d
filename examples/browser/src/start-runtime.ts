import type { Runtime } from '@musubi/runtime';

import { createWebRuntime } from '@musubi/runtime/web';
import webGpuScript from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url';
import webGpuBinary from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url';
import wasmScript from 'onnxruntime-web/ort-wasm-simd-threaded.mjs?url';
import wasmBinary from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url';

export type Device = 'wasm' | 'webgpu';

export interface StartedRuntime {
  readonly runtime: Promise<Runtime>;
  /** Ends its thread at once, which frees all memory, also on the graphics card. */
  readonly kill: () => void;
}

const absolute = (url: string): string => new URL(url, location.href).href;

/** Loads ONNX Runtime into a worker of its own. */
export function startRuntime(device: Device): StartedRuntime {
  const isWebGpu = device === 'webgpu';
  // bundlers look for these words as they stand
  const worker = isWebGpu
    ? new Worker(new URL('./webgpu-worker.ts', import.meta.url), { type: 'module', name: 'musubi-webgpu' })
    : new Worker(new URL('./wasm-worker.ts', import.meta.url), { type: 'module', name: 'musubi-wasm' });
  const wasmPaths = isWebGpu
    ? { mjs: absolute(webGpuScript), wasm: absolute(webGpuBinary) }
    : { mjs: absolute(wasmScript), wasm: absolute(wasmBinary) };
  return { runtime: createWebRuntime({ worker, device, wasmPaths }), kill: () => worker.terminate() };
}
