import type { OrtModule } from '../create-runtime.ts';
import type { WebGpuFeatures } from '../types.ts';

import { RuntimeError } from '../error.ts';

/** What is used of `onnxruntime-web`. */
export interface WebOrtModule extends OrtModule {
  readonly env: {
    readonly versions: object;
    readonly wasm: { numThreads?: number; proxy?: boolean; wasmPaths?: unknown };
  };
}

/** Where onnxruntime-web finds its own `.mjs` and `.wasm` files: a folder's URL, or the URL of each. */
export type WasmPaths = string | { readonly mjs?: string; readonly wasm?: string };

/** How ONNX Runtime is set up, once for a module. */
export interface EngineOptions {
  /** Default `wasm`, the CPU. */
  readonly device?: 'wasm' | 'webgpu';
  /**
   * Threads of the CPU. More than one only where the page is cross-origin isolated, else this has no effect. Default: half
   * of the logical processors, at most 8.
   */
  readonly threads?: number;
  /** Default: beside the bundle, where bundlers put them. */
  readonly wasmPaths?: WasmPaths;
}

export interface Engine {
  readonly device: 'wasm' | 'webgpu';
  readonly threads: number;
  readonly webGpu?: WebGpuFeatures;
}

/**
 * Sets up onnxruntime-web before its first session; later it ignores changes.
 *
 * @throws {RuntimeError} (rejects) `PROVIDER_UNAVAILABLE` where there is no WebGPU, `BAD_OPTION`
 */
export async function setUpEngine({ env }: WebOrtModule, options: EngineOptions): Promise<Engine> {
  const { device = 'wasm', threads = defaultThreads(), wasmPaths } = options;
  if (!Number.isInteger(threads) || threads < 1) {
    throw new RuntimeError('BAD_OPTION', `threads is ${threads}.`, 'Give a whole number of at least 1.');
  }
  if (device !== 'wasm' && device !== 'webgpu') {
    throw new RuntimeError('BAD_OPTION', `device is "${String(device)}".`, 'Give "wasm" or "webgpu".');
  }
  const webGpu = device === 'webgpu' ? await requireWebGpu() : null;
  env.wasm.numThreads = globalThis.crossOriginIsolated ? threads : 1;
  env.wasm.proxy = false;
  if (wasmPaths !== undefined) env.wasm.wasmPaths = wasmPaths;
  return { device, threads: env.wasm.numThreads, ...(webGpu ? { webGpu } : {}) };
}

function defaultThreads(): number {
  return Math.min(8, Math.ceil((navigator.hardwareConcurrency || 1) / 2));
}

async function requireWebGpu(): Promise<WebGpuFeatures> {
  const { available, reason, remedy, ...features } = await inspectWebGpu();
  if (available) return features;
  throw new RuntimeError('PROVIDER_UNAVAILABLE', `WebGPU is not available: ${reason}.`, remedy);
}

/** Where it is not available, nothing is offered. */
export interface WebGpuSupport extends WebGpuFeatures {
  readonly available: boolean;
  /** Why not, a clause; empty where it is available. */
  readonly reason: string;
  /** What to do, a sentence. */
  readonly remedy: string;
}

const lacking = (reason: string, remedy: string): WebGpuSupport => ({
  available: false,
  reason,
  remedy,
  float16: false,
  maxBindingBytes: 0,
  maxBufferBytes: 0,
});

/** The part of WebGPU that is asked for, which not every version of TypeScript's DOM types has. */
interface Gpu {
  requestAdapter(options: { readonly powerPreference: 'high-performance' }): Promise<GpuAdapter | null>;
}

interface GpuAdapter {
  readonly features: { has(feature: string): boolean };
  readonly limits: { readonly maxStorageBufferBindingSize: number; readonly maxBufferSize: number };
}

/**
 * Whether this browser, or this worker, has WebGPU, and if not why; and what its card offers, all of which ONNX Runtime asks
 * for. Of several cards it is the one that ONNX Runtime takes.
 */
export async function inspectWebGpu(): Promise<WebGpuSupport> {
  const gpu = (navigator as { readonly gpu?: Gpu }).gpu;
  if (!globalThis.isSecureContext) {
    return lacking('this page is not a secure context', 'Serve it by https or from localhost, or use device "wasm".');
  }
  if (!gpu) {
    return lacking('this browser has no navigator.gpu', 'Use a current version of Chrome or Edge, or device "wasm".');
  }
  try {
    const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
    if (adapter) return { available: true, reason: '', remedy: '', ...featuresOf(adapter) };
    return lacking(
      'the browser offers no graphics adapter',
      'Turn on hardware acceleration and update the graphics driver, or use device "wasm".',
    );
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return lacking(`asking for an adapter failed (${why})`, 'Restart the browser, or use device "wasm".');
  }
}

const featuresOf = ({ features, limits }: GpuAdapter): WebGpuFeatures => ({
  float16: features.has('shader-f16'),
  maxBindingBytes: limits.maxStorageBufferBindingSize,
  maxBufferBytes: limits.maxBufferSize,
});
