import type { Graph } from '@musubi/onnx-graph';

import { createLora, selectTargets } from '@musubi/lora';
import { resolveWeights, wan } from '@musubi/models';
import { encodeModel, isFloat } from '@musubi/onnx-graph';
import { TorchGenerator } from '@musubi/random';
import { runsOn, toSessionOptions } from '@musubi/runtime';
import { blobSource, openSafetensors } from '@musubi/safetensors';
import { InferenceSession, env } from 'onnxruntime-web/webgpu';
import { beforeAll, describe, expect, test } from 'vitest';

import { fetchFolder } from '../../../tests/browser/fetch-folder.ts';
import { createTrainingModel } from '../src/index.ts';

const file = 'dit.safetensors';
let files: Map<string, Blob>;

beforeAll(async () => {
  files = await fetchFolder('/golden/runs/wan_t2v');
  env.wasm.wasmPaths = `${location.origin}/onnxruntime/`;
  env.wasm.numThreads = 1;
  // the placement of nodes is told in no other way
  env.logLevel = 'verbose';
});

async function trainingGraph(options: { forWebGpu: boolean; gradientCheckpointing?: boolean }): Promise<Graph> {
  const modelConfig = JSON.parse((await files.get('model.json')?.text()) ?? '{}') as Record<string, unknown>;
  const store = await openSafetensors(blobSource(files.get(file) ?? new Blob(), file));
  const { config, source } = resolveWeights(store, wan, { task: 't2v-1.3B', modelConfig });
  const { lora } = wan;
  const rules = { blockClasses: [lora.targetClass], exclude: lora.defaultExcludePatterns };
  const adapter = createLora({
    modules: selectTargets(lora.modules(config), rules, {}),
    rank: 4,
    alpha: 2,
    generator: new TorchGenerator(1),
  });
  return createTrainingModel({ architecture: wan, config, weights: source(() => file), adapter, ...options }).training;
}

/** The provider of each node, from what ONNX Runtime logs while it loads a model. */
async function placements(graph: Graph): Promise<Map<string, string>> {
  const lines = await loggedDuring(async () => {
    const model = encodeModel(graph);
    const weights = new Uint8Array((await files.get(file)?.arrayBuffer()) ?? new ArrayBuffer(0));
    const options = toSessionOptions({ model, providers: ['webgpu'], externalData: { [file]: weights } });
    const session = await InferenceSession.create(model, { ...options, logSeverityLevel: 0 });
    await session.release();
  });
  const placed = new Map<string, string>();
  let provider = '';
  for (const line of lines.filter((text) => text.includes('VerifyEachNodeIsAssignedToAnEp'))) {
    provider = /placed on \[(\w+)\]/.exec(line)?.[1] ?? provider;
    const node = /\] {3}\w+ \((.*)\)\s*$/.exec(line)?.[1];
    if (node !== undefined) placed.set(node, provider);
  }
  return placed;
}

async function loggedDuring(action: () => Promise<void>): Promise<string[]> {
  const lines: string[] = [];
  const kinds = ['log', 'info', 'warn', 'error', 'debug'] as const;
  const before = kinds.map((kind) => console[kind]);
  for (const kind of kinds) console[kind] = (...words: unknown[]) => void lines.push(words.map(String).join(' '));
  try {
    await action();
  } finally {
    kinds.forEach((kind, i) => (console[kind] = before[i] ?? console.log));
  }
  return lines;
}

/** Nodes of the step that are computed on the CPU; integers are shapes and do not count. */
function leaving({ nodes }: Graph, placed: ReadonlyMap<string, string>): string[] {
  return nodes
    .filter(({ name }) => placed.get(name) === 'CPUExecutionProvider')
    .filter(({ outputs }) => outputs.some(({ dtype }) => isFloat(dtype)))
    .map(({ op }) => op);
}

describe.each([false, true])('a step for WebGPU, gradient checkpointing %s', (gradientCheckpointing) => {
  test('stays on the device', async () => {
    const graph = await trainingGraph({ forWebGpu: true, gradientCheckpointing });
    const placed = await placements(graph);
    const onDevice = graph.nodes.filter(({ name }) => placed.get(name) === 'WebGpuExecutionProvider');
    expect(leaving(graph, placed)).toEqual([]);
    // constants and pairs of transposes are gone when nodes are placed
    expect(onDevice.length).toBeGreaterThan(graph.nodes.length / 2);
    expect(onDevice.map(({ op }) => op).filter((op) => !runsOn('webgpu', op))).toEqual([]);
  }, 600_000);
});

test('a step for the CPU would leave it for its products', async () => {
  const graph = await trainingGraph({ forWebGpu: false });
  const left = leaving(graph, await placements(graph));
  expect(new Set(left)).toEqual(new Set(['FusedMatMul']));
  expect(runsOn('webgpu', 'FusedMatMul')).toBe(false);
}, 600_000);
