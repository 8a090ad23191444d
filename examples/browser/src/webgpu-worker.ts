// Sessions on the graphics card.
import * as ort from 'onnxruntime-web/webgpu';

import { serveRuntime } from '@musubi/runtime/web';

serveRuntime(ort);
