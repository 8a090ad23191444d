// Takes the place of `onnxruntime-node` in tests that run in a browser.
import { InferenceSession, Tensor, env } from 'onnxruntime-web/wasm';

env.wasm.wasmPaths = '/onnxruntime/';
env.wasm.numThreads = 1;

export { InferenceSession, Tensor, env };
