import type { Engine } from './engine.ts';
import { createPlainEngine } from './plain-engine.ts';
import { createWasmEngine } from './wasm-engine.ts';

let shared: Engine | undefined;

/** The engine of this thread: WebAssembly with SIMD where it can be had. */
export function sharedEngine(): Engine {
  shared ??= createWasmEngine() ?? createPlainEngine();
  return shared;
}
