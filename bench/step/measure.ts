// One measurement in a process of its own, so that its memory is its own: JSON request in argv, JSON result on stdout.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { totalmem } from 'node:os';
import { dirname } from 'node:path';

import type { HostTensor } from '../../packages/onnx-graph/src/index.ts';
import type { Product } from './products.ts';

import { gradientName } from '../../packages/autodiff/src/index.ts';
import { loraParameters } from '../../packages/lora/src/index.ts';
import { loraFeeds } from '../../packages/lora/src/graph.ts';
import { encodeModel, evaluateDim } from '../../packages/onnx-graph/src/index.ts';
import { clipGradNorm, createOptimizer } from '../../packages/optimizers/src/index.ts';
import { TorchGenerator } from '../../packages/random/src/index.ts';
import { type OrtModule, createRuntime, planMemory } from '../../packages/runtime/src/index.ts';
import { createNodeRuntime } from '../../packages/runtime/src/node.ts';
import { measure } from '../harness.ts';
import { openTrainingModel } from './model.ts';
import { productModel, productsOf } from './products.ts';

export interface Request {
  readonly kind: 'forward' | 'backward' | 'step' | 'products';
  readonly checkpoint: string;
  readonly tokens: number;
  readonly gradientCheckpointing: boolean;
  readonly threads: number;
  readonly repeats: number;
}

export interface Result {
  /** Median of one call, for `products` of all products of a training step. */
  readonly seconds: number;
  /** Highest anonymous memory during the calls above that after loading; where the system does not tell, resident memory. */
  readonly memoryBytes: number;
  readonly products: readonly Product[];
}

const ort = createRequire(new URL('../../packages/runtime/package.json', import.meta.url))('onnxruntime-node') as OrtModule;
const request = JSON.parse(process.argv[2] ?? '{}') as Request;
const { kind, checkpoint, tokens, gradientCheckpointing, threads, repeats } = request;
const { adapter, graphs, weightBytes } = await openTrainingModel(checkpoint, gradientCheckpointing);
const symbols = new Map([
  ['B', 1],
  ['S', tokens],
]);
const generator = new TorchGenerator(3);
const random = (shape: readonly number[]): HostTensor => {
  const count = shape.reduce((a, b) => a * b, 1);
  return { dtype: 'float32', shape, data: generator.randn(count) };
};
const products = productsOf(graphs.training, symbols);
const runtime = await createNodeRuntime();
const memory = planMemory({ weightBytes, totalMemoryBytes: totalmem(), threads });

const result = kind === 'products' ? await measureProducts() : await measureModel();
await runtime.close();
console.log(JSON.stringify({ ...result, products } satisfies Result));

async function measureProducts() {
  // In this thread: nothing but the product is timed.
  const local = createRuntime(ort);
  let seconds = 0;
  for (const product of products) {
    const { batch, m, k, n, count } = product;
    const session = await local.createSession({ model: productModel(product), memory });
    const feeds = { a: random([batch, m, k]), b: random(batch === 1 ? [k, n] : [batch, k, n]) };
    const { median } = await measure(() => session.run(feeds), { warmups: 1, repeats });
    seconds += count * median;
    await session.release();
  }
  return { seconds, memoryBytes: 0 };
}

async function measureModel() {
  const graph = kind === 'forward' ? graphs.evaluation : graphs.training;
  const session = await runtime.createSession({
    model: encodeModel(graph),
    externalDataFolder: dirname(checkpoint),
    memory,
  });
  const parameters = loraParameters(adapter);
  const groups = [{ name: 'unet', learningRate: 1e-4, parameters }];
  const optimizer = createOptimizer('AdamW', groups, {});
  const weights = loraFeeds(adapter);
  const feeds = Object.fromEntries(
    graph.inputs
      .filter(({ name }) => !(name in weights))
      .map(({ name, shape }) => [name, random(shape.map((d) => evaluateDim(d, symbols)))]),
  );
  const action = async () => {
    const outputs = await session.run({ ...feeds, ...weights }, kind === 'step' ? undefined : ['loss']);
    if (kind !== 'step') return;
    const gradients = new Map(parameters.map(({ name }) => [name, outputs[gradientName(name)]?.data as Float32Array]));
    clipGradNorm(gradients, 1);
    optimizer.step(gradients, [1e-4]);
  };
  const before = memoryInUse();
  let peak = before;
  const watch = setInterval(() => (peak = Math.max(peak, memoryInUse())), 2);
  const { median } = await measure(action, { warmups: 1, repeats });
  clearInterval(watch);
  return { seconds: median, memoryBytes: peak - before };
}

/** Anonymous memory: weights mapped from a file do not count. */
function memoryInUse(): number {
  if (process.platform !== 'linux') return process.memoryUsage.rss();
  const kibibytes = /^RssAnon:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return Number(kibibytes) * 1024;
}
