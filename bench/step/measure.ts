// One measurement in a process of its own, so that its memory is its own: JSON request in argv, JSON result on stdout.
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { dirname } from 'node:path';

import type { AttentionPlan, HostTensor } from '../../packages/onnx-graph/src/index.ts';
import type { Session } from '../../packages/runtime/src/index.ts';

import { gradientName } from '../../packages/autodiff/src/index.ts';
import { loraFeeds } from '../../packages/lora/src/graph.ts';
import { loraParameters } from '../../packages/lora/src/index.ts';
import { type Graph, encodeModel } from '../../packages/onnx-graph/src/index.ts';
import { clipGradNorm, createOptimizer } from '../../packages/optimizers/src/index.ts';
import { TorchGenerator } from '../../packages/random/src/index.ts';
import { planMemory } from '../../packages/runtime/src/index.ts';
import { createNodeRuntime } from '../../packages/runtime/src/node.ts';
import { median } from '../harness.ts';
import { randomFeeds } from './feeds.ts';
import { type Base, openTrainingModel } from './model.ts';
import { flopsOf, productsModel, productsOf } from './products.ts';

export interface Request {
  /**
   * `times`: everything in turn, round after round, so that a drifting machine changes all alike, the checkpointed graph
   * too; `step`: only the step and its forward and backward pass.
   */
  readonly kind: 'times' | 'step' | 'memory';
  readonly checkpoint: string;
  readonly tokens: number;
  readonly gradientCheckpointing: boolean;
  readonly attention: AttentionPlan;
  /** Default: as the checkpoint has them. */
  readonly base?: Base;
  readonly threads: number;
  readonly rounds: number;
}

/** Medians over the rounds; ratios are taken within each round. */
export interface Times {
  readonly forwardSeconds: number;
  readonly backwardSeconds: number;
  readonly stepSeconds: number;
  /** All matrix products of forward and backward pass, without anything between them. */
  readonly productSeconds: number;
  readonly backwardToForward: number;
  readonly productsToBackward: number;
  readonly checkpointedBackwardSeconds: number;
  readonly checkpointedStepSeconds: number;
  /** What the checkpointed step takes longer than the plain one, in forward passes. */
  readonly recomputedForwards: number;
  readonly flops: number;
}

export interface Memory {
  /** Highest anonymous memory during forward and backward above that after loading; elsewhere than on Linux, resident memory. */
  readonly bytes: number;
  /** Highest anonymous memory of the process during forward and backward. */
  readonly peakBytes: number;
}

const request = JSON.parse(process.argv[2] ?? '{}') as Request;
const { checkpoint, tokens, gradientCheckpointing, attention, base, threads, rounds } = request;
const { adapter, graphs, memoryFacts } = await openTrainingModel(checkpoint, gradientCheckpointing, attention, base);
const memory = planMemory({ ...memoryFacts, totalMemoryBytes: totalmem(), threads });
const symbols = new Map([
  ['B', 1],
  ['S', tokens],
]);
const generator = new TorchGenerator(3);
const parameters = loraParameters(adapter);
const optimizer = createOptimizer('AdamW', [{ name: 'unet', learningRate: 1e-4, parameters }], {});
const weights = loraFeeds(adapter);

const runtime = await createNodeRuntime();
const result = request.kind === 'memory' ? await measureMemory() : await measureTimes(request.kind === 'times');
await runtime.close();
console.log(JSON.stringify(result));

async function measureTimes(withParts: boolean): Promise<Times> {
  const [forward, backward] = [await open(graphs.evaluation), await open(graphs.training)];
  const checkpointed = withParts
    ? await open((await openTrainingModel(checkpoint, true, attention, base)).graphs.training)
    : undefined;
  const products = productsOf(graphs.training, symbols);
  const alone = productsModel(products);
  const productSession = withParts ? await open(alone) : undefined;
  const operands = withParts ? feedsOf(alone) : {};
  const feeds = feedsOf(graphs.training);
  const forwardFeeds = feedsOf(graphs.evaluation);

  const table: Record<'forward' | 'backward' | 'step' | 'products' | 'checkpointed' | 'checkpointedStep', number>[] =
    [];
  for (let round = 0; round <= rounds; round++) {
    const row = {
      forward: withParts ? await time(() => forward.run({ ...forwardFeeds, ...weights })) : 0,
      backward: await time(() => backward.run({ ...feeds, ...weights }, ['loss'])),
      step: await time(() => step(backward, feeds)),
      products: productSession ? await time(() => productSession.run(operands)) : 0,
      checkpointed: checkpointed ? await time(() => checkpointed.run({ ...feeds, ...weights }, ['loss'])) : 0,
      checkpointedStep: checkpointed ? await time(() => step(checkpointed, feeds)) : 0,
    };
    if (round > 0) table.push(row); // the first round warms up
  }
  const over = (f: (row: (typeof table)[number]) => number) => median(table.map(f));
  return {
    forwardSeconds: over((row) => row.forward),
    backwardSeconds: over((row) => row.backward),
    stepSeconds: over((row) => row.step),
    productSeconds: over((row) => row.products),
    backwardToForward: over((row) => row.backward / row.forward),
    productsToBackward: over((row) => row.products / row.backward),
    checkpointedBackwardSeconds: over((row) => row.checkpointed),
    checkpointedStepSeconds: over((row) => row.checkpointedStep),
    recomputedForwards: over((row) => (row.checkpointedStep - row.step) / row.forward),
    flops: products.reduce((sum, p) => sum + flopsOf(p), 0),
  };
}

async function measureMemory(): Promise<Memory> {
  const session = await open(graphs.training);
  const feeds = feedsOf(graphs.training);
  const before = memoryInUse();
  let peak = before;
  const watch = setInterval(() => (peak = Math.max(peak, memoryInUse())), 2);
  for (let round = 0; round < 2; round++) await session.run({ ...feeds, ...weights }, ['loss']);
  clearInterval(watch);
  return { bytes: peak - before, peakBytes: peak };
}

/** Forward and backward pass, clipping, optimizer; parameters and gradients cross the threads. */
async function step(session: Session, feeds: Record<string, HostTensor>): Promise<void> {
  const outputs = await session.run({ ...feeds, ...weights });
  const gradients = new Map(parameters.map(({ name }) => [name, outputs[gradientName(name)]?.data as Float32Array]));
  clipGradNorm(gradients, 1);
  optimizer.step(gradients, [1e-4]);
}

function open(graph: Graph): Promise<Session> {
  return runtime.createSession({ model: encodeModel(graph), externalDataFolder: dirname(checkpoint), memory });
}

const feedsOf = (graph: Graph): Record<string, HostTensor> =>
  randomFeeds(graph, Object.fromEntries(symbols), weights, generator);

async function time(action: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await action();
  return (performance.now() - start) / 1000;
}

/** Anonymous memory: weights mapped from a file do not count. */
function memoryInUse(): number {
  if (process.platform !== 'linux') return process.memoryUsage.rss();
  const kibibytes = /^RssAnon:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return Number(kibibytes) * 1024;
}
