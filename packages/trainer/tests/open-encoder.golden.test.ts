import type { HostTensor } from '@musubi/onnx-graph';
import type { Runtime } from '@musubi/runtime';

import { resolveWeights, umt5, wanVae } from '@musubi/models';
import { Graph, createParams, mul } from '@musubi/onnx-graph';
import { createNodeRuntime } from '@musubi/runtime/node';
import { openSafetensorsFile } from '@musubi/safetensors/node';
import { expect, test } from 'vitest';

import { goldenPath, hasGolden } from '../../../tests/golden.ts';
import { createOpenGraph } from '../src/node/open-encoder.ts';

/** Of the largest value; both compute in float32. */
const tolerance = 1e-5;

test.runIf(hasGolden('models', 'vae_wan', 'case.safetensors'))(
  'a picture is encoded as the original does',
  async () => {
    const golden = await openSafetensorsFile(goldenPath('models', 'vae_wan', 'case.safetensors'));
    const stem = [...golden.tensors.keys()].find((name) => name.endsWith('.pixels'))?.replace('.pixels', '') ?? '';
    const data = await golden.readFloat32(`${stem}.pixels`);
    const expected = await golden.readFloat32(`${stem}.latents`);
    await golden.close();
    const pixels: HostTensor = { dtype: 'float32', shape: golden.tensors.get(`${stem}.pixels`)?.shape ?? [], data };

    const checkpoint = await openSafetensorsFile(goldenPath('models', 'vae_wan', 'checkpoint.safetensors'));
    const { config, source, weights } = resolveWeights(checkpoint, wanVae);
    await checkpoint.close();
    const runtime = await createNodeRuntime();
    const open = createOpenGraph(runtime, { externalFiles: { vae: checkpointPath('vae_wan') }, weights, threads: 1 });
    const encoder = wanVae.createEncoder(
      source(() => 'vae'),
      config,
      open,
    );
    const latents = await encoder.encode(pixels);
    await encoder.close();
    await runtime.close();

    expectClose(latents, expected);
  },
);

test.runIf(hasGolden('models', 'te_umt5', 'case.safetensors'))(
  'a caption is embedded as the original does',
  async () => {
    const golden = await openSafetensorsFile(goldenPath('models', 'te_umt5', 'case.safetensors'));
    const ids = Array.from(new BigInt64Array((await golden.read('input_ids')).slice().buffer), Number);
    const [length = 0] = golden.tensors.get('context.0')?.shape ?? [];
    const expected = await golden.readFloat32('context.0');
    await golden.close();

    const checkpoint = await openSafetensorsFile(checkpointPath('te_umt5'));
    const { config, source, weights } = resolveWeights(checkpoint, umt5);
    await checkpoint.close();
    const graph = new Graph('umt5');
    const params = createParams(
      graph,
      source(() => 'text_encoder'),
    );
    graph.output('embeddings', umt5.build(params, config).embeddings);
    const runtime = await createNodeRuntime();
    const externalFiles = { text_encoder: checkpointPath('te_umt5') };
    const session = await createOpenGraph(runtime, { externalFiles, weights, threads: 1 })(graph, 'text encoder');
    const { embeddings } = await session.run(umt5.prepare(config, [ids.slice(0, length)]));
    await session.release();
    await runtime.close();

    expectClose(embeddings, expected);
  },
);

/** A graph for another device, which the CPU computes all the same. */
async function openLeft(isStrict: boolean) {
  const lines: string[] = [];
  const closing: (() => Promise<void>)[] = [];
  const runtime = await createNodeRuntime();
  const onCpu: Runtime = {
    ...runtime,
    createSession: (request) => runtime.createSession({ ...request, providers: ['cpu'] }),
  };
  const graph = new Graph('square');
  const x = graph.input('x', 'float32', [2]);
  graph.output('y', mul(x, x));
  const open = createOpenGraph(onCpu, {
    externalFiles: {},
    weights: new Map(),
    device: { provider: 'webgpu', deviceId: 0 },
    placement: { isStrict, logger: (line) => void lines.push(line), closing },
  });
  const session = await open(graph, 'text encoder');
  const feeds: Record<string, HostTensor> = { x: { dtype: 'float32', shape: [2], data: Float32Array.of(2, 3) } };
  const close = async () => {
    await session.release();
    for (const each of closing) await each();
    await runtime.close();
  };
  return { run: () => session.run(feeds), lines, close };
}

test('on a device the first run of a graph tells where its nodes ran', async () => {
  const { run, lines, close } = await openLeft(false);
  for (let i = 0; i < 2; i++) expect((await run())['y']?.data).toEqual(Float32Array.of(4, 9));
  await close();
  expect(lines).toEqual([
    'a run of the text encoder moves 0.00 MB to webgpu and 0.00 MB back',
    'a run of the text encoder on webgpu: 1 nodes, 0 of shape arithmetic and 1 others on the CPU, ' +
      '0 copies between host and device: 1 Mul',
  ]);
});

test('with strict_device it fails where nodes were left to the CPU', async () => {
  const { run, close } = await openLeft(true);
  await expect(run()).rejects.toMatchObject({ code: 'DEVICE_LEFT', facts: { operators: ['Mul'] } });
  await close();
});

const checkpointPath = (model: string): string => goldenPath('models', model, 'checkpoint.safetensors');

function expectClose(actual: HostTensor | undefined, expected: Float32Array): void {
  const largest = expected.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
  expect(actual?.data as Float32Array).toBeAllClose(expected, { atol: tolerance * largest });
}
