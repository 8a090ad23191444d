import type { EightBitBase } from '@musubi/config';
import type { Graph } from '@musubi/onnx-graph';

import { createLora, selectTargets } from '@musubi/lora';
import { resolveWeights, wan } from '@musubi/models';
import { encodeModel, isFloat } from '@musubi/onnx-graph';
import { adamwGraph } from '@musubi/optimizers/graph';
import { TorchGenerator } from '@musubi/random';
import { runsOn, toSessionOptions } from '@musubi/runtime';
import { blobSource, openSafetensors } from '@musubi/safetensors';
import { InferenceSession, env } from 'onnxruntime-web/webgpu';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { fetchFolder } from '../../../tests/browser/fetch-folder.ts';
import { createTrainingModel, lowerEightBit } from '../src/index.ts';
import { quantizeBase } from '../src/web/eight-bit-base.ts';

const file = 'dit.safetensors';
let files: Map<string, Blob>;
const logged: string[] = [];
const kinds = ['log', 'info', 'warn', 'error', 'debug'] as const;
const before = kinds.map((kind) => console[kind]);

beforeAll(async () => {
  files = await fetchFolder('/golden/runs/wan_t2v');
  env.wasm.wasmPaths = `${location.origin}/onnxruntime/`;
  env.wasm.numThreads = 1;
  // the placement of nodes is told in no other way
  env.logLevel = 'verbose';
  // with its first session onnxruntime-web is loaded, and keeps the functions that it finds then
  for (const kind of kinds) console[kind] = (...words: unknown[]) => void logged.push(words.map(String).join(' '));
});

afterAll(() => kinds.forEach((kind, i) => (console[kind] = before[i] ?? console.log)));

interface StoredGraph {
  readonly graph: Graph;
  /** The file of its weights. */
  readonly content: Blob;
}

async function trainingGraph(
  options: { forWebGpu: boolean; gradientCheckpointing?: boolean; products?: 'float16' },
  method: EightBitBase['method'] | null = null,
): Promise<StoredGraph> {
  const modelConfig = JSON.parse((await files.get('model.json')?.text()) ?? '{}') as Record<string, unknown>;
  const blob = files.get(file) ?? new Blob();
  const checkpoint = await openSafetensors(blobSource(blob, file));
  const { config, weights, source } = resolveWeights(checkpoint, wan, { task: 't2v-1.3B', modelConfig });
  const request = { path: file, file: blob, checkpoint, weights, architecture: wan, wide: true };
  const base = method && (await quantizeBase({ ...setting, method }, request, { logger: () => {} }));
  const { lora } = wan;
  const rules = { blockClasses: [lora.targetClass], exclude: lora.defaultExcludePatterns };
  const adapter = createLora({
    modules: selectTargets(lora.modules(config), rules, {}),
    rank: 4,
    alpha: 2,
    generator: new TorchGenerator(1),
  });
  const stored = base ? base.stored.source(() => file) : source(() => file);
  const lower = method ? { lower: lowerEightBit(method, { provider: 'webgpu', forward: 'dequantize' }) } : {};
  const { training } = createTrainingModel({
    architecture: wan,
    config,
    weights: stored,
    adapter,
    ...options,
    ...lower,
  });
  return { graph: training, content: base?.content ?? blob };
}

const setting = { format: 'e4m3', mode: 'block', blockSize: 64, cacheDir: null } as const;

interface Placed {
  readonly name: string;
  readonly op: string;
  readonly provider: string;
}

/** The provider of each node that ONNX Runtime keeps or makes, from what it logs while it loads a model. */
async function placements({ graph, content }: StoredGraph): Promise<Placed[]> {
  const start = logged.length;
  const model = encodeModel(graph);
  const weights = new Uint8Array(await content.arrayBuffer());
  const options = toSessionOptions({ model, providers: ['webgpu'], externalData: { [file]: weights } });
  const session = await InferenceSession.create(model, { ...options, logSeverityLevel: 0 });
  await session.release();
  const placed: Placed[] = [];
  let provider = '';
  for (const line of logged.slice(start).filter((text) => text.includes('VerifyEachNodeIsAssignedToAnEp'))) {
    provider = /placed on \[(\w+)\]/.exec(line)?.[1] ?? provider;
    const [, op, name] = /\] {3}(\w+) \((.*)\)\s*$/.exec(line) ?? [];
    if (op !== undefined && name !== undefined) placed.push({ name, op, provider });
  }
  return placed;
}

/**
 * Operators of the step on the CPU: all but those that compute from or to integers, which are shapes, or what a shape alone
 * gives, as the divisor of a mean. No such number has more than one axis, else it would be a tensor of the step.
 */
function leaving({ nodes }: Graph, placed: readonly Placed[]): string[] {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  return placed
    .filter(({ provider }) => provider === 'CPUExecutionProvider')
    .filter(({ name }) => {
      const node = byName.get(name);
      if (!node) return true;
      const isFromFloats = node.inputs.some((input) => input && isFloat(input.dtype));
      return node.outputs.some(({ dtype, shape }) => isFloat(dtype) && (isFromFloats || shape.length > 1));
    })
    .map(({ op }) => op);
}

/** All but shape arithmetic, and nothing of which the list says otherwise. */
function expectOnDevice(graph: Graph, placed: readonly Placed[]): void {
  expect(leaving(graph, placed)).toEqual([]);
  const onDevice = new Set(
    placed.filter(({ provider }) => provider === 'WebGpuExecutionProvider').map(({ name }) => name),
  );
  const kept = graph.nodes.filter(({ name }) => onDevice.has(name));
  // constants and pairs of transposes are gone when nodes are placed
  expect(kept.length).toBeGreaterThan(graph.nodes.length / 2);
  expect(kept.map(({ op }) => op).filter((op) => !runsOn('webgpu', op))).toEqual([]);
}

describe.each([false, true])('a step for WebGPU, gradient checkpointing %s', (gradientCheckpointing) => {
  test('stays on the device', async () => {
    const stored = await trainingGraph({ forWebGpu: true, gradientCheckpointing });
    expectOnDevice(stored.graph, await placements(stored));
  }, 600_000);
});

test.each([
  ['scaled', {}],
  ['int8', {}],
  ['cast', {}],
  ['scaled', { products: 'float16' }],
  ['int8', { products: 'float16', gradientCheckpointing: true }],
] as const)(
  'a step on a base in 8 bits stays there too: %s, %o',
  async (method, options) => {
    const stored = await trainingGraph({ forWebGpu: true, ...options }, method);
    const placed = await placements(stored);
    expectOnDevice(stored.graph, placed);
    // codes and their zero points are bytes
    const ofBytes = stored.graph.nodes.filter(({ inputs }) => inputs.some((input) => input?.dtype === 'uint8'));
    const readers = new Set(ofBytes.map(({ name }) => name));
    const onHost = placed.filter(({ name, provider }) => readers.has(name) && provider === 'CPUExecutionProvider');
    expect(onHost.map(({ op }) => op)).toEqual([]);
    expect(ofBytes.length).toBeGreaterThan(0);
  },
  600_000,
);

test.each([false, true])(
  'a step of the optimizer stays on the device, joined %s',
  async (joinsParameters) => {
    const parameters = Array.from({ length: 9 }, (_, k) => [
      { name: `a${k}`, shape: [4, 33] },
      { name: `b${k}`, shape: [33, 4] },
    ]).flat();
    const graph = adamwGraph([{ parameters }], {
      maxGradNorm: 1,
      scalesGradients: true,
      factorsAsInputs: true,
      sumsWeights: true,
      joinsParameters,
    });
    const start = logged.length;
    expect(await placements({ graph, content: new Blob() })).toEqual([]);
    // where all have one place, they are not listed
    const told = logged.slice(start).filter((text) => text.includes('VerifyEachNodeIsAssignedToAnEp'));
    expect(told.join()).toMatch(/All nodes placed on \[WebGpuExecutionProvider\]\. Number of nodes: \d{2,}/);
  },
  600_000,
);

test('a step for the CPU would leave it for its products', async () => {
  const stored = await trainingGraph({ forWebGpu: false });
  const left = leaving(stored.graph, await placements(stored));
  expect(new Set(left)).toEqual(new Set(['FusedMatMul']));
  expect(runsOn('webgpu', 'FusedMatMul')).toBe(false);
}, 600_000);
