// The worker of a runtime in browser tests, as a user would write it.
import * as ort from 'onnxruntime-web/webgpu';

import { serveRuntime } from '../../packages/runtime/src/web.ts';

serveRuntime(ort);
