// Takes the place of `onnxruntime-node` in tests that run in a browser: the build for WebAssembly, with weights from the
// server of the test page.
import { InferenceSession as WebSession, Tensor, env } from 'onnxruntime-web/wasm';

import { externalTensors } from '../../packages/runtime/src/index.ts';

import { readFileSync } from './files.ts';

env.wasm.wasmPaths = '/onnxruntime/';
env.wasm.numThreads = 1;

interface WithFolder {
  readonly session?: { readonly model_external_initializers_file_folder_path?: string };
}

const InferenceSession = {
  create(model: Uint8Array, options: WebSession.SessionOptions = {}): Promise<WebSession> {
    const folder = (options.extra as WithFolder | undefined)?.session?.model_external_initializers_file_folder_path;
    const locations = folder === undefined ? [] : new Set(externalTensors(model).map(({ location }) => location));
    const externalData = Array.from(locations, (path) => ({
      path,
      data: readFileSync(`${folder}/${path}`) as Uint8Array,
    }));
    // the folder is one of the server, and would be looked for in the module's own file system
    const { extra: _, ...others } = options;
    return WebSession.create(model, { ...others, ...(externalData.length > 0 ? { externalData } : {}) });
  },
};

export { InferenceSession, Tensor, env };
