import type { HostTensor } from '@musubi/onnx-graph';
import type { Runtime, SessionRequest } from '@musubi/runtime';

import { rename } from 'node:fs/promises';

import { decodeModel, encodeModel, gateOnDevice } from '@musubi/onnx-graph';
import { missingCudaKernels } from '@musubi/runtime';
import { createNodeRuntime } from '@musubi/runtime/node';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import { type RunFolder, openRunFolder, rewriteTensors, short, wanRuns } from './run-folder.ts';

// The runs below are on the CPU, which takes 8-bit weights in another form.
vi.mock('../src/lower-eight-bit.ts', async (load) => {
  const original = await load<typeof import('../src/lower-eight-bit.ts')>();
  const lowerEightBit: typeof original.lowerEightBit = (method, options) =>
    original.lowerEightBit(method, { ...options, provider: 'cuda' });
  return { ...original, lowerEightBit };
});

interface Recorded {
  readonly request: SessionRequest;
  readonly feeds: Readonly<Record<string, HostTensor>>;
  readonly outputs: Readonly<Record<string, HostTensor>>;
}

/** Options of a run, and the number type of its checkpoint. */
const forms = [
  ['', 'F32'],
  ['--gradient_checkpointing', 'F32'],
  ['', 'BF16'],
  ['--gradient_checkpointing', 'BF16'],
  ['', 'F16'],
  ['--fp8_base --fp8_scaled', 'BF16'],
  ['--fp8_base --fp8_scaled --fp8_quant_mode channel --gradient_checkpointing', 'BF16'],
  ['--fp8_base --fp8_format e5m2', 'BF16'],
  ['--int8_base --gradient_checkpointing', 'BF16'],
] as const;

describe.each(wanRuns.slice(0, 1))('training graphs of %s for CUDA', (name) => {
  let folder: RunFolder;
  let runtime: Runtime;
  beforeAll(async () => {
    folder = await openRunFolder(name);
    runtime = await createNodeRuntime();
  });
  afterAll(async () => {
    await runtime.close();
    await folder.close();
  });

  /** The session request of a run, with the feeds and results of its only step. */
  async function record(options: string, dtype: 'F32' | 'BF16' | 'F16'): Promise<Recorded> {
    const dit = `dit-${dtype}.safetensors`;
    await rewriteTensors('dit.safetensors', 'new.safetensors', (tensor) => ({ ...tensor, dtype }));
    await rename('new.safetensors', dit);
    let recorded: Recorded | undefined;
    const recording: Runtime = {
      ...runtime,
      async createSession(request) {
        const copy = { ...request, model: request.model.slice() };
        const session = await runtime.createSession(request);
        return {
          ...session,
          async run(feeds, wanted) {
            const before = structuredClone(feeds);
            const outputs = await session.run(feeds, wanted);
            recorded = { request: copy, feeds: before, outputs };
            return outputs;
          },
        };
      },
    };
    await folder.run(`${short(1)} --device cpu --dit ${dit} ${options}`, { runtime: recording });
    return recorded!;
  }

  test.each(forms)('with %j and a checkpoint in %s', async (options, dtype) => {
    const { request, feeds, outputs } = await record(options, dtype);
    const graph = gateOnDevice(decodeModel(request.model));

    expect(missingCudaKernels(graph)).toEqual([]);
    const isOnHost = ({ op, inputs }: (typeof graph.nodes)[number]) => op === 'Reshape' && !inputs[1]?.data;
    const waiting = graph.nodes.filter(
      (node) => isOnHost(node) && node.inputs[1]?.producer?.inputs.some(comesFromCast),
    );
    // unscaled 8-bit floats have no scale that could wait
    if (options.includes('e5m2')) expect(waiting.every(({ inputs }) => inputs[0]?.dtype === 'float8e5m2')).toBe(true);
    else expect(waiting).toEqual([]);

    const session = await runtime.createSession({ ...request, model: encodeModel(graph) });
    const results = await session.run(feeds);
    await session.release();
    for (const [output, { data }] of Object.entries(outputs)) {
      expect(results[output]!.data, output).toBeAllClose(data as Float32Array, { rtol: 1e-5, atol: 1e-6 });
    }
  });
});

const comesFromCast = (value: { readonly producer?: { readonly op: string } | null } | null) =>
  value?.producer?.op === 'Cast';

test('a node without a kernel is found', () => {
  const missing = missingCudaKernels({
    nodes: [
      { name: 'a', op: 'Transpose', domain: '', inputs: [{ dtype: 'float8e4m3fn' }] },
      { name: 'b', op: 'NoSuchOperator', domain: '', inputs: [] },
      { name: 'c', op: 'Transpose', domain: '', inputs: [{ dtype: 'float32' }] },
    ] as never,
  });
  expect(missing).toEqual([
    { node: 'a', operator: 'Transpose', dtypes: ['float8e4m3fn'] },
    { node: 'b', operator: 'NoSuchOperator', dtypes: [] },
  ]);
});
