// The estimate of one step in a process of its own, which runs no step: JSON request in argv, JSON result on stdout.
import { totalmem } from 'node:os';

import type { AttentionPlan } from '../../packages/onnx-graph/src/index.ts';

import { loraParameters } from '../../packages/lora/src/index.ts';
import { graphWork } from '../../packages/onnx-graph/src/analysis.ts';
import { createOptimizer } from '../../packages/optimizers/src/index.ts';
import { planMemory } from '../../packages/runtime/src/index.ts';
import { createNodeRuntime } from '../../packages/runtime/src/node.ts';
import { memoryOfGraph } from '../../packages/trainer/src/estimate/memory-of-run.ts';
import { graphSeconds } from '../../packages/trainer/src/estimate/step-time.ts';
import { copiesOfAdapter } from '../../packages/trainer/src/estimate/constants.ts';
import { probeDevice } from '../../packages/trainer/src/node/estimate/probe-device.ts';
import { watchProgram } from '../../packages/trainer/src/node/estimate/program-memory.ts';
import { type Base, openTrainingModel } from './model.ts';

export interface Request {
  readonly checkpoint: string;
  readonly tokens: number;
  readonly gradientCheckpointing: boolean;
  readonly attention: AttentionPlan;
  readonly base: Base;
  readonly threads: number;
}

export interface Estimate {
  /** Most anonymous memory of the process. */
  readonly peakBytes: number;
  /** Of it, what a step adds. */
  readonly activationBytes: number;
  /** Forward and backward pass. */
  readonly seconds: number;
}

const request = JSON.parse(process.argv[2] ?? '{}') as Request;
const { checkpoint, tokens, gradientCheckpointing, attention, base, threads } = request;
const runtime = await createNodeRuntime();
const program = watchProgram();
const { adapter, graphs, memoryFacts } = await openTrainingModel(
  checkpoint,
  gradientCheckpointing,
  attention,
  base,
  'planned',
);
const processBytes = program.bytes();
const memory = planMemory({ ...memoryFacts, totalMemoryBytes: totalmem(), threads });
const symbols = new Map([
  ['B', 1],
  ['S', tokens],
]);
const parameters = loraParameters(adapter);
const optimizer = createOptimizer('AdamW', [{ name: 'unet', learningRate: 1e-4, parameters }], {});
const work = graphWork(graphs.training, symbols);
const needed = memoryOfGraph({
  graph: graphs.training,
  runs: [symbols],
  memory,
  sessions: 1,
  process: processBytes,
  optimizerState: [...optimizer.state().tensors.values()].reduce((sum, { data }) => sum + data.byteLength, 0),
  parameterBytes: parameters.reduce((sum, { data }) => sum + data.byteLength, 0),
});
const speed = await probeDevice(runtime, work, memory, { provider: 'cpu', deviceId: 0 });
await runtime.close();
// The bench fetches no gradients, makes no step that might have to be undone, and its optimizer has its state.
const notInBench = needed.gradients + needed.adapter / copiesOfAdapter;
const result: Estimate = {
  peakBytes: needed.total - notInBench,
  // One copy in three of what is fed is there before.
  activationBytes: needed.activations + (2 / 3) * (needed.batches + needed.adapter),
  seconds: graphSeconds(work, speed),
};
console.log(JSON.stringify(result));
