export { type WebRuntimeOptions, createWebRuntime } from './web/create-web-runtime.ts';
export {
  type EngineOptions,
  type WasmPaths,
  type WebGpuSupport,
  type WebOrtModule,
  inspectWebGpu,
} from './web/engine.ts';
export { serveRuntime } from './web/serve-runtime.ts';
