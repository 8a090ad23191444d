// One measurement in a process of its own: JSON request in argv, JSON result on stdout.
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { basename } from 'node:path';

import type { HostTensor, ParameterSource } from '../../packages/onnx-graph/src/index.ts';
import type { Session } from '../../packages/runtime/src/index.ts';
import type { TensorInfo, TensorStore } from '../../packages/safetensors/src/index.ts';
import type { Base, Method, Request, Result } from './request.ts';

import { gradientName } from '../../packages/autodiff/src/index.ts';
import { loraFeeds } from '../../packages/lora/src/graph.ts';
import { createLora, loraParameters, selectTargets } from '../../packages/lora/src/index.ts';
import { resolveWeights, wan } from '../../packages/models/src/index.ts';
import {
  Graph,
  concat,
  createParams,
  encodeModel,
  evaluateDim,
  fuseProducts,
  gateWeights,
  matmul,
  slice,
  transpose,
} from '../../packages/onnx-graph/src/index.ts';
import { clipGradNorm, createOptimizer } from '../../packages/optimizers/src/index.ts';
import { fp8Source } from '../../packages/quant-fp8/src/graph.ts';
import { TorchGenerator } from '../../packages/random/src/index.ts';
import { planMemory } from '../../packages/runtime/src/index.ts';
import { createNodeRuntime } from '../../packages/runtime/src/node.ts';
import { openSafetensorsFile } from '../../packages/safetensors/src/node.ts';
import { createTrainingModel, lowerEightBit } from '../../packages/trainer/src/index.ts';
import { openEightBitBase } from '../../packages/trainer/src/node/eight-bit-base.ts';
import { median } from '../harness.ts';

const request = JSON.parse(process.argv[2] ?? '{}') as Request;
const { checkpoint, threads } = request;
const generator = new TorchGenerator(3);
const closing: (() => Promise<void>)[] = [];
const runtime = await createNodeRuntime();
const before = anonymous();
let peak = before;
const watch = setInterval(() => (peak = Math.max(peak, anonymous())), 2);
const { seconds, ratios } = await measure();
clearInterval(watch);
const result: Result = {
  seconds,
  anonymousBytes: Math.max(peak, anonymous()) - before,
  residentBytes: status('VmHWM') ?? process.memoryUsage.rss(),
  ...(ratios ? { ratios } : {}),
};
console.log(JSON.stringify(result));
for (const close of closing) await close();
await runtime.close();

async function measure(): Promise<Pick<Result, 'seconds' | 'ratios'>> {
  switch (request.kind) {
    case 'make':
      return { seconds: [await time(() => openBase(request.method, request.model, request.sizes))] };
    case 'layers': {
      const { weights, source } = await openBase(request.base, 'layers');
      const graph = lower(request.base, gateWeights(fuseProducts(layersGraph(source, request))), source);
      const session = await open(graph, weights, request.base);
      const [, width] = request.sizes;
      const x = random([request.tokens, width]);
      return { seconds: await repeat(request.rounds, () => session.run({ x })) };
    }
    case 'ratios': {
      const { modelConfig } = await import('../step/model.ts');
      const steps = new Map<Base, () => Promise<unknown>>();
      for (const base of ['checkpoint', 'scaled', 'int8'] as const) {
        steps.set(base, (await openStep(base, 't2v-1.3B', modelConfig, request.tokens, false)).gradients);
      }
      const rows: Record<string, number>[] = [];
      for (let round = 0; round <= request.rounds; round++) {
        const row: Record<string, number> = {};
        for (const [base, run] of steps) row[base] = await time(run);
        if (round > 0) rows.push(row); // the first round warms up
      }
      const ratio = (base: Base) => median(rows.map((row) => row[base]! / row['checkpoint']!));
      return {
        seconds: rows.map((row) => row['checkpoint']!),
        ratios: { fp8: ratio('scaled'), int8: ratio('int8') },
      };
    }
    case 'steps': {
      const { step } = await openStep(request.base, request.task, request.sizes, request.tokens, true);
      const times: number[] = [];
      for (let i = 0; i < request.steps; i++) times.push(await time(step));
      return { seconds: times };
    }
  }
}

/** Chained layers `[out, in]`, forward, then all of them transposed, as in a backward pass. */
function layersGraph(source: ParameterSource, { layers, sizes: [out, width] }: Request & { kind: 'layers' }): Graph {
  const graph = new Graph('layers');
  const params = createParams(graph, source);
  const weights = Array.from({ length: layers }, (_, i) => params.at('blocks').at(i).tensor('weight', [out, width]));
  let x = graph.input('x', 'float32', ['t', width]);
  for (const weight of weights) x = slice(matmul(x, transpose(weight, [1, 0])), 1, 0, width);
  for (const weight of weights.toReversed()) {
    x = matmul(
      concat(
        Array.from({ length: out / width }, () => x),
        1,
      ),
      weight,
    );
  }
  graph.output('y', x);
  return graph;
}

async function openBase(base: Base, model: 'layers' | 'wan', sizes?: object, task = 't2v-1.3B') {
  const store = await openSafetensorsFile(checkpoint);
  closing.push(() => store.close());
  const resolved = model === 'wan' ? resolveWeights(store, wan, { task, modelConfig: { ...sizes } }) : asStored(store);
  if (base === 'checkpoint') return { ...resolved, source: resolved.source(basename) };
  const setting = { method: base, format: 'e4m3', mode: 'block', blockSize: 64, cacheDir: null } as const;
  // The layers of the bench are called as blocks of Wan are.
  const asked = { path: checkpoint, checkpoint: store, weights: resolved.weights, architecture: wan, merged: [] };
  const stored = await openEightBitBase(setting, asked, { closing, logger: () => {}, signal: undefined });
  return { ...resolved, weights: stored.weights, source: stored.source(basename) };
}

function asStored({ tensors }: TensorStore) {
  const source = (locate: (file: string) => string) => fp8Source({ tensors }, locate);
  return { config: null, weights: tensors, source };
}

async function openStep(
  base: Base,
  task: string,
  sizes: object | undefined,
  tokens: number,
  gradientCheckpointing: boolean,
) {
  const { config, weights, source } = await openBase(base, 'wan', sizes, task);
  const modules = selectTargets(wan.lora.modules(config!), {
    blockClasses: [wan.lora.targetClass],
    exclude: wan.lora.defaultExcludePatterns,
  });
  const adapter = createLora({ modules, rank: 16, alpha: 16, generator: new TorchGenerator(2) });
  const { training } = createTrainingModel({
    architecture: wan,
    config: config!,
    weights: source,
    adapter,
    gradientCheckpointing,
    lower: (graph, given) => lower(base, graph, given, planFor(weights).prepackWeights),
  });
  const session = await open(training, weights, base);
  const parameters = loraParameters(adapter);
  const optimizer = createOptimizer('AdamW', [{ name: 'unet', learningRate: 1e-4, parameters }], {});
  const trained = loraFeeds(adapter);
  const symbols = new Map([
    ['B', 1],
    ['S', tokens],
  ]);
  const data = training.inputs.filter(({ name }) => !(name in trained));
  const feeds = Object.fromEntries(
    data.map(({ name, shape }) => [name, random(shape.map((d) => evaluateDim(d, symbols)))]),
  );
  const all = { ...feeds, ...trained };
  return {
    gradients: () => session.run(all, ['loss']),
    async step() {
      const outputs = await session.run(all);
      const gradients = new Map(
        parameters.map(({ name }) => [name, outputs[gradientName(name)]?.data as Float32Array]),
      );
      clipGradNorm(gradients, 1);
      optimizer.step(gradients, [1e-4]);
    },
  };
}

function lower(base: Base, graph: Graph, source: ParameterSource, isPacked = false): Graph {
  if (base === 'checkpoint') return graph;
  return lowerEightBit(base as Method, { forward: isPacked ? 'product' : 'dequantize' })(graph, source);
}

function bytesOf(chosen: readonly TensorInfo[]): number {
  return chosen.reduce((sum, w) => sum + w.byteLength, 0);
}

function planFor(weights: ReadonlyMap<string, TensorInfo>) {
  const stored = [...weights.values()];
  return planMemory({
    weightBytes: bytesOf(stored),
    integerBytes: bytesOf(stored.filter(({ dtype }) => dtype === 'U8')),
    narrowWeights: stored.some(({ dtype, shape }) => dtype !== 'F32' && shape.length > 1),
    totalMemoryBytes: totalmem(),
    threads,
  });
}

async function open(graph: Graph, weights: ReadonlyMap<string, TensorInfo>, base: Base): Promise<Session> {
  const files = new Map(Array.from(weights.values(), ({ source }) => [basename(source), source]));
  const plan = planFor(weights);
  // The layers are measured as weights of a large model, which stay mapped.
  const memory = request.kind === 'layers' ? { ...plan, prepackWeights: false } : plan;
  return runtime.createSession({
    label: base,
    model: encodeModel(graph),
    externalFiles: Object.fromEntries(files),
    memory,
  });
}

async function repeat(rounds: number, run: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const taken = await time(run);
    if (round > 0) times.push(taken); // the first round warms up
  }
  return times;
}

function random(shape: readonly number[]): HostTensor {
  return { dtype: 'float32', shape, data: generator.randn(shape.reduce((a, b) => a * b, 1)) };
}

async function time(action: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await action();
  return (performance.now() - start) / 1000;
}

/** Anonymous memory: weights mapped from a file do not count. */
function anonymous(): number {
  return status('RssAnon') ?? process.memoryUsage.rss();
}

function status(name: string): number | undefined {
  if (process.platform !== 'linux') return undefined;
  const kibibytes = new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
}
