// The same on the build for the CPU alone, which knows more number types there.
import * as ort from 'onnxruntime-web/wasm';

import { serveRuntime } from '../../packages/runtime/src/web.ts';

serveRuntime(ort);
