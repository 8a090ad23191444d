import type { Runtime, RuntimeInfo, SessionRequest } from '@musubi/runtime';

import { readFile, readdir } from 'node:fs/promises';
import { join, sep } from 'node:path';

import { type TrainConfig, resolveOptions } from '@musubi/config';
import { decodeModel } from '@musubi/onnx-graph';
import { createNodeRuntime } from '@musubi/runtime/node';
import { bytesSource, openSafetensors } from '@musubi/safetensors';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { goldenPath } from '../../../tests/golden.ts';
import { runTraining } from '../src/web.ts';
import { cardOfCpu } from './card-of-cpu.ts';
import { short, wanRuns } from './run-folder.ts';

/** What a page is given: the files below a folder, by their paths in it. */
async function filesBelow(folder: string): Promise<Map<string, Blob>> {
  const paths = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = paths.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  const read = async (path: string) =>
    [path.slice(folder.length + 1).replaceAll(sep, '/'), new Blob([await readFile(path)])] as const;
  return new Map(await Promise.all(files.map(read)));
}

const steps = 2;
const card = { float16: true, maxBindingBytes: 2 ** 27, maxBufferBytes: 2 ** 28 };

/** Of the session that trains: its graph, and its file of weights. */
async function trainingModel(requests: readonly SessionRequest[]) {
  const { model, externalData = {} } = requests.find(({ label }) => label === 'training_model')!;
  const [weights] = Object.values(externalData) as Uint8Array[];
  return { graph: decodeModel(model), weights: await openSafetensors(bytesSource(weights!)), size: weights!.length };
}

const saysOf = (lines: readonly string[], option: string) => lines.filter((line) => line.startsWith(option));

async function resolve(files: ReadonlyMap<string, Blob>, options: string): Promise<TrainConfig> {
  const argv = ['--config_file', 'config.toml', ...`${short(steps)} ${options}`.trim().split(' ')];
  const readText = async (path: string) => (await files.get(path)?.text()) ?? '';
  return (await resolveOptions({ command: 'train', argv, readText })).config;
}

describe.each(wanRuns)('the run %s in a page', (name) => {
  let runtime: Runtime;
  let files: Map<string, Blob>;
  let plain: Awaited<ReturnType<typeof train>>;

  beforeAll(async () => {
    runtime = await createNodeRuntime();
    files = await filesBelow(goldenPath('runs', name));
    plain = await train('', { device: 'webgpu', webGpu: card });
  });
  afterAll(() => runtime.close());

  async function train(options: string, info: Pick<RuntimeInfo, 'device' | 'webGpu'>) {
    const [requests, losses, lines]: [SessionRequest[], number[], string[]] = [[], [], []];
    const saved: Uint8Array[] = [];
    const { status } = await runTraining(await resolve(files, options), {
      files,
      runtime: cardOfCpu(runtime, info, requests),
      logger: (line) => lines.push(line),
      onStep: ({ loss }) => losses.push(loss),
      onSave: (_, bytes) => void saved.push(bytes),
    });
    expect(status).toBe('finished');
    expect(losses).toHaveLength(steps);
    return { requests, losses, lines, saved };
  }

  test('fp16 multiplies in float16, with a loss scale, where the card can', async () => {
    const { losses, lines, requests, saved } = await train('--mixed_precision fp16', {
      device: 'webgpu',
      webGpu: card,
    });
    expect(saysOf(lines, 'mixed_precision')).toEqual([
      'mixed_precision fp16: matrix products in float16, all else in float32, with a loss scale.',
    ]);
    expect(requests.map(({ label }) => label)).toEqual(['probe', 'training_model']);
    const { graph, weights, size } = await trainingModel(requests);
    const products = graph.nodes.filter(({ op }) => op === 'MatMul' || op === 'Gemm');
    expect(new Set(products.map(({ outputs }) => outputs[0]?.dtype))).toEqual(new Set(['float16', 'float32']));
    expect(graph.inputs.map((input) => input.name)).toContain('loss_scale');
    // of products the operands are rounded, by 2⁻¹¹ of themselves each
    expect(losses).toBeAllClose(plain.losses, { rtol: 2 ** -11 });
    expect(losses).not.toEqual(plain.losses);
    const adapter = await openSafetensors(bytesSource(saved[0]!));
    for (const key of adapter.tensors.keys())
      expect((await adapter.readFloat32(key)).every(Number.isFinite)).toBe(true);
    // weights of products lie there in float16, so that no step narrows or widens one
    const ofWeights = graph.nodes.filter(({ op, inputs }) => op === 'Cast' && inputs[0]?.kind === 'external');
    expect(ofWeights.map((node) => node.name)).toEqual([]);
    expect([...weights.tensors.values()].filter(({ dtype }) => dtype === 'F16').length).toBeGreaterThan(0);
    expect(size).toBeLessThan(0.7 * (files.get('dit.safetensors')?.size ?? 0));
  });

  test.each([
    [
      'fp16',
      { device: 'webgpu', webGpu: { ...card, float16: false } },
      'webgpu cannot be used with it here (this graphics card, or the browser, has no shader-f16)',
    ],
    ['bf16', { device: 'webgpu', webGpu: card }, 'webgpu has no products in this type, only fp16'],
  ] as const)('%s is float32 elsewhere, and one line says why', async (asked, info, why) => {
    const { losses, lines, requests } = await train(`--mixed_precision ${asked}`, info);
    expect(saysOf(lines, 'mixed_precision')).toEqual([
      `mixed_precision ${asked}: ${why}, so all is computed in float32.`,
    ]);
    expect(requests.map(({ label }) => label)).toEqual(['training_model']);
    expect(losses).toEqual(plain.losses);
  });

  test('attention is whole for short sequences', () => {
    expect(saysOf(plain.lines, 'attention')).toEqual([
      expect.stringMatching(/^attention over \d+ tokens: whole \(all scores at once take 0\.0 of [\d.]+ GiB\)$/),
    ]);
  });

  test.each([
    [
      'where it is asked for, for the processor too',
      '--attn_mode chunked --attn_chunk 5',
      { device: 'wasm' },
      /pieces of 5 queries/,
    ],
    [
      'where a tensor has no room for its scores',
      '',
      { device: 'webgpu', webGpu: { ...card, maxBindingBytes: 2 ** 14 } },
      /pieces of \d+ queries .*, where 0 MiB is the most/,
    ],
  ] as const)('attention is in pieces %s', async (_, options, info, line) => {
    const { losses, lines } = await train(options, info);
    expect(saysOf(lines, 'attention').join()).toMatch(line);
    expect(losses).toBeAllClose(plain.losses, { rtol: 1e-5 });
  });
});
