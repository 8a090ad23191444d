import type { Runtime, SessionRequest } from '../types.ts';

import { createRuntime, refuseFiles } from '../create-runtime.ts';
import { type EngineOptions, type WebOrtModule, setUpEngine } from './engine.ts';
import { openContents } from './open-contents.ts';

/** A runtime on onnxruntime-web in the calling thread. */
export async function createCallerRuntime(ort: WebOrtModule, options: EngineOptions): Promise<Runtime> {
  const engine = await setUpEngine(ort, options);
  const prepare = (request: SessionRequest) => openContents({ providers: [engine.device], ...refuseFiles(request) });
  const runtime = createRuntime(ort, { prepare, keepsOnDevice: engine.device === 'webgpu' });
  return { ...runtime, info: { ...runtime.info, ...engine } };
}
