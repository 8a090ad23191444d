import { parentPort, workerData } from 'node:worker_threads';

import type { WorkerStart } from './node/worker-start.ts';

import { serve } from './node/serve.ts';

if (parentPort) serve(parentPort, workerData as WorkerStart);
