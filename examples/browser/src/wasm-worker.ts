// Sessions on the CPU.
import * as ort from 'onnxruntime-web/wasm';

import { serveRuntime } from '@musubi/runtime/web';

serveRuntime(ort);
