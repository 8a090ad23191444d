import { totalmem } from 'node:os';
import { basename } from 'node:path';

import type { HostTensor, ParameterSource } from '../../packages/onnx-graph/src/index.ts';
import type { MemoryPlan, Runtime, Session } from '../../packages/runtime/src/index.ts';
import type { TensorInfo, TensorStore } from '../../packages/safetensors/src/index.ts';
import type { Base, Method, Request, Result } from './request.ts';

import { loraFeeds } from '../../packages/lora/src/graph.ts';
import { createLora, selectTargets } from '../../packages/lora/src/index.ts';
import { resolveWeights, wan } from '../../packages/models/src/index.ts';
import {
  Graph,
  concat,
  createParams,
  encodeModel,
  fuseProducts,
  gateWeights,
  matmul,
  slice,
  transpose,
} from '../../packages/onnx-graph/src/index.ts';
import { fp8Source } from '../../packages/quant-fp8/src/graph.ts';
import { TorchGenerator } from '../../packages/random/src/index.ts';
import { planMemory } from '../../packages/runtime/src/index.ts';
import { createNodeRuntime } from '../../packages/runtime/src/node.ts';
import { openSafetensorsFile } from '../../packages/safetensors/src/node.ts';
import { createTrainingModel, lowerEightBit } from '../../packages/trainer/src/index.ts';
import { openEightBitBase } from '../../packages/trainer/src/node/eight-bit-base.ts';
import { median } from '../harness.ts';
import { watchMemory } from '../peak-memory.ts';
import { randomFeeds } from '../step/feeds.ts';

const generator = new TorchGenerator(3);

/** What a measurement works with. */
interface Bench {
  readonly checkpoint: string;
  readonly threads: number;
  readonly runtime: Runtime;
  readonly closing: (() => Promise<void>)[];
}

/** One measurement in this process. */
export async function measureRequest(request: Request): Promise<Result> {
  const bench: Bench = { ...request, runtime: await createNodeRuntime(), closing: [] };
  const memory = watchMemory();
  const measured = await measure(request, bench);
  const result = { ...measured, ...memory.stop() };
  for (const close of bench.closing) await close();
  await bench.runtime.close();
  return result;
}

async function measure(request: Request, bench: Bench): Promise<Pick<Result, 'seconds' | 'ratios'>> {
  switch (request.kind) {
    case 'make':
      return { seconds: [await time(() => openBase(bench, request.method))] };
    case 'layers': {
      const { weights, source } = await openBase(bench, request.base);
      const graph = lower(request.base, gateWeights(fuseProducts(layersGraph(source, request))), source);
      // The layers are measured as weights of a large model, which stay mapped.
      const session = await open(
        bench,
        graph,
        { ...planFor(bench, weights), prepackWeights: false },
        weights,
        request.base,
      );
      const [, width] = request.sizes;
      const x = random([request.tokens, width]);
      return { seconds: await repeat(request.rounds, () => session.run({ x })) };
    }
    case 'ratios': {
      const steps = new Map<Base, () => Promise<unknown>>();
      for (const base of ['checkpoint', 'scaled', 'int8'] as const) {
        steps.set(base, await openGradients(bench, base, request));
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

/** @param sizes of a Wan model; by default the checkpoint is taken as it is */
async function openBase({ checkpoint, closing }: Bench, base: Base, sizes?: object) {
  const store = await openSafetensorsFile(checkpoint);
  closing.push(() => store.close());
  const resolved = sizes
    ? resolveWeights(store, wan, { task: 't2v-1.3B', modelConfig: { ...sizes } })
    : asStored(store);
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

/** Forward and backward pass of a training step. */
async function openGradients(
  bench: Bench,
  base: Base,
  { sizes, tokens }: Request & { kind: 'ratios' },
): Promise<() => Promise<unknown>> {
  const { config, weights, source } = await openBase(bench, base, sizes);
  const modules = selectTargets(wan.lora.modules(config!), {
    blockClasses: [wan.lora.targetClass],
    exclude: wan.lora.defaultExcludePatterns,
  });
  const adapter = createLora({ modules, rank: 16, alpha: 16, generator: new TorchGenerator(2) });
  const plan = planFor(bench, weights);
  const { training } = createTrainingModel({
    architecture: wan,
    config: config!,
    weights: source,
    adapter,
    lower: (graph, given) => lower(base, graph, given, plan.prepackWeights),
  });
  const session = await open(bench, training, plan, weights, base);
  const trained = loraFeeds(adapter);
  const feeds = randomFeeds(training, { B: 1, S: tokens }, trained, generator);
  return () => session.run({ ...feeds, ...trained }, ['loss']);
}

function lower(base: Base, graph: Graph, source: ParameterSource, isPacked = false): Graph {
  if (base === 'checkpoint') return graph;
  return lowerEightBit(base as Method, { forward: isPacked ? 'product' : 'dequantize' })(graph, source);
}

function bytesOf(chosen: readonly TensorInfo[]): number {
  return chosen.reduce((sum, w) => sum + w.byteLength, 0);
}

function planFor({ threads }: Bench, weights: ReadonlyMap<string, TensorInfo>): MemoryPlan {
  const stored = [...weights.values()];
  return planMemory({
    weightBytes: bytesOf(stored),
    integerBytes: bytesOf(stored.filter(({ dtype }) => dtype === 'U8')),
    narrowWeights: stored.some(({ dtype, shape }) => dtype !== 'F32' && shape.length > 1),
    totalMemoryBytes: totalmem(),
    threads,
  });
}

async function open(
  { runtime }: Bench,
  graph: Graph,
  memory: MemoryPlan,
  weights: ReadonlyMap<string, TensorInfo>,
  label: string,
): Promise<Session> {
  const files = new Map(Array.from(weights.values(), ({ source }) => [basename(source), source]));
  return runtime.createSession({
    label,
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
