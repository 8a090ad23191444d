// One measurement in a process of its own, so that its memory is its own: JSON request in argv, JSON result on stdout.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

import type { HostTensor } from '../../packages/onnx-graph/src/index.ts';

import { type CheckpointModel, resolveWeights, umt5, wanVae } from '../../packages/models/src/index.ts';
import { Graph, createParams } from '../../packages/onnx-graph/src/index.ts';
import { TorchGenerator } from '../../packages/random/src/index.ts';
import { createNodeRuntime } from '../../packages/runtime/src/node.ts';
import { openSafetensorsFile } from '../../packages/safetensors/src/node.ts';
import { createOpenGraph } from '../../packages/trainer/src/node/open-encoder.ts';

export interface Request {
  readonly kind: 'caption' | 'picture';
  readonly checkpoint: string;
  readonly threads: number;
  /** Tokens of a caption, or rows and columns of a picture. */
  readonly size: readonly number[];
}

export interface Result {
  /** Opening the model and encoding once. */
  readonly firstSeconds: number;
  /** Encoding again. */
  readonly againSeconds: number;
  /** Highest memory of the process that is its own; elsewhere than on Linux, resident memory. */
  readonly peakBytes: number;
}

const { kind, checkpoint, threads, size } = JSON.parse(process.argv[2] ?? '{}') as Request;
const runtime = await createNodeRuntime();
let peak = 0;
const watch = setInterval(() => (peak = Math.max(peak, memoryInUse())), 2);
const { encode, close } = await (kind === 'caption' ? captionEncoder() : pictureEncoder());
const result: Result = {
  firstSeconds: await time(encode),
  againSeconds: await time(encode),
  peakBytes: peak,
};
clearInterval(watch);
await close();
await runtime.close();
console.log(JSON.stringify(result));

async function captionEncoder() {
  const { config, source, open } = await openModel(umt5);
  const [length = 0] = size;
  const ids = Array.from({ length }, (_, i) => (i * 7919) % config.vocabulary);
  const session = once(async () => {
    const graph = new Graph('umt5');
    graph.output('embeddings', umt5.build(createParams(graph, source), config).embeddings);
    return open(graph, 'text encoder');
  });
  return {
    async encode() {
      const { embeddings } = await (await session()).run(umt5.prepare(config, [ids]));
      assertFinite(embeddings);
    },
    close: async () => (await session()).release(),
  };
}

async function pictureEncoder() {
  const { config, source, open } = await openModel(wanVae);
  const encoder = wanVae.createEncoder(source, config, open);
  const [H = 0, W = 0] = size;
  const data = new TorchGenerator(2).rand(3 * H * W).map((x) => 2 * x - 1);
  return {
    encode: async () => assertFinite(await encoder.encode({ dtype: 'float32', shape: [1, 3, 1, H, W], data })),
    close: encoder.close,
  };
}

async function openModel<Config>(model: CheckpointModel<Config>) {
  const store = await openSafetensorsFile(checkpoint);
  const { config, weights, source } = resolveWeights(store, model);
  await store.close();
  const location = basename(checkpoint);
  const open = createOpenGraph(runtime, { externalFiles: { [location]: checkpoint }, weights, threads });
  return { config, source: source(() => location), open };
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

async function time(action: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await action();
  return (performance.now() - start) / 1000;
}

function assertFinite(tensor: HostTensor | undefined): void {
  const values = tensor?.data as Float32Array | undefined;
  if (!values?.length || !values.every(Number.isFinite)) throw new Error('the result is not finite');
}

/** Anonymous memory: weights mapped from a file do not count. */
function memoryInUse(): number {
  if (process.platform !== 'linux') return process.memoryUsage.rss();
  const kibibytes = /^RssAnon:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return Number(kibibytes) * 1024;
}
