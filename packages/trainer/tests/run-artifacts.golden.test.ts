import type { Runtime, SessionRequest } from '@musubi/runtime';

import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { gradientName } from '@musubi/autodiff';
import { loadTrainingArtifacts } from '@musubi/autodiff/node';
import { loraParameters } from '@musubi/lora';
import { decodeModel } from '@musubi/onnx-graph';
import { createNodeRuntime } from '@musubi/runtime/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { watchPlacement } from '../src/node/check-placement.ts';
import { openRunFolder, readAdapter, short, wanRuns, type RunFolder } from './run-folder.ts';

const complete = [
  'checkpoint/model.safetensors',
  'checkpoint/optimizer.safetensors',
  'checkpoint/state.json',
  'eval_model.onnx',
  'optimizer_model.onnx',
  'training_model.onnx',
];

/** The files in a folder and below. */
async function list(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true });
  return entries
    .map((entry) => entry.replaceAll('\\', '/'))
    .filter((entry) => entry !== 'checkpoint')
    .toSorted();
}

describe.each(wanRuns)('training_artifacts of runs like %s', (name) => {
  let folder: RunFolder;
  let runtime: Runtime;
  const requests: SessionRequest[] = [];

  beforeAll(async () => {
    folder = await openRunFolder(name);
    const own = await createNodeRuntime();
    const createSession: Runtime['createSession'] = (request) => {
      requests.push(request);
      return own.createSession(request);
    };
    runtime = { ...own, createSession };
  });
  afterAll(async () => {
    await runtime.close();
    await folder.close();
  });

  /** A run of one step, and the graphs that its sessions got. */
  async function keep(options: string, count = 1) {
    requests.length = 0;
    const finished = await folder.run(`${short(1)} ${options}`, { runtime });
    return { ...finished, models: requests.splice(0, count).map(({ model }) => model) };
  }

  test.each([
    '',
    '--gradient_checkpointing --attn_mode chunked --attn_chunk 4',
    '--int8_base',
    '--network_args loraplus_lr_ratio=4',
  ])('are the graphs of the session, and complete with AdamW: %s', async (options) => {
    const at = join('new', 'graphs');
    const { lines, models, outcome } = await keep(`--optimizer_type AdamW --training_artifacts new/graphs ${options}`);
    expect(await list(at)).toEqual(complete);
    const written = await readFile(join(at, 'training_model.onnx'));
    expect(Buffer.compare(written, models[0]!)).toBe(0);

    const graph = decodeModel(written);
    const parameters = loraParameters(await readAdapter(outcome.path ?? ''));
    const outputs = graph.outputs.map((output) => output.name);
    expect(outputs).toEqual(expect.arrayContaining(['loss', ...parameters.map((p) => gradientName(p.name))]));

    const { weightFiles, checkpoint, optimizer } = await loadTrainingArtifacts(at);
    const locations = new Set(graph.initializers.flatMap(({ external }) => external?.location ?? []));
    expect(locations.size).toBeGreaterThan(0);
    for (const location of locations) expect(existsSync(weightFiles[location] ?? ''), location).toBe(true);
    if (options !== '--int8_base') expect(Object.values(weightFiles)).toEqual([resolve('dit.safetensors')]);
    expect([...checkpoint.parameters.keys()].toSorted()).toEqual(parameters.map((p) => p.name).toSorted());
    const rates = optimizer.inputs.find((input) => input.name === 'learning_rates');
    expect(rates?.shape).toEqual([options.includes('loraplus') ? 2 : 1]);
    const told = lines.filter((line) => line.startsWith('training_artifacts'));
    expect(told).toEqual([expect.stringContaining(`musubi inspect ${join(at, 'training_model.onnx')}`)]);
  });

  test('change nothing about the run', async () => {
    const plain = await keep('');
    expect((await keep('--training_artifacts same')).losses).toEqual(plain.losses);
  });

  test('of another optimizer are the training graph alone, and replace those of the run before', async () => {
    await keep('--optimizer_type AdamW --training_artifacts other');
    await writeFile(join('other', 'notes.txt'), 'mine');
    const { lines, models } = await keep('--optimizer_type lion_pytorch.Lion --training_artifacts other');
    expect(await list('other')).toEqual(['notes.txt', 'training_model.onnx', 'weight_files.json']);
    expect(Buffer.compare(await readFile(join('other', 'training_model.onnx')), models[0]!)).toBe(0);
    expect(JSON.parse(await readFile(join('other', 'weight_files.json'), 'utf8'))).toEqual({
      'dit.safetensors': '../dit.safetensors',
    });
    expect(lines.join('\n')).toContain(
      'the training graph alone, because lion_pytorch.Lion with these optimizer_args has no graph',
    );
  });

  test('of two models are both training graphs', async () => {
    const two = '--dit_high_noise dit.safetensors --timestep_boundary 0.8 --optimizer_type AdamW';
    const { models } = await keep(`${two} --training_artifacts two`, 2);
    expect(await list('two')).toEqual(['training_model.onnx', 'training_model_high_noise.onnx', 'weight_files.json']);
    for (const [index, file] of ['training_model.onnx', 'training_model_high_noise.onnx'].entries()) {
      expect(Buffer.compare(await readFile(join('two', file)), models[index]!)).toBe(0);
    }
  });

  test('are refused before training where they cannot be written', async () => {
    await mkdir(join('blocked', 'eval_model.onnx'), { recursive: true });
    await mkdir('flat');
    await writeFile(join('flat', 'checkpoint'), '');
    for (const at of ['dit.safetensors', 'blocked', 'flat']) {
      await expect(keep(`--training_artifacts ${at}`)).rejects.toMatchObject({
        code: 'OUTPUT_UNWRITABLE',
        facts: { option: 'training_artifacts' },
      });
      expect(requests).toEqual([]);
    }
  });

  test('take the place of no file of the user', async () => {
    await mkdir(join('used', 'checkpoint'), { recursive: true });
    const file = join('used', 'checkpoint', 'model.safetensors');
    await writeFile(file, await readFile('dit.safetensors'));
    await expect(keep('--training_artifacts used')).rejects.toThrow('is there already and not of an earlier run');
    await expect(keep(`--dit ${file} --training_artifacts used`)).rejects.toThrow('is one that this run reads');
    expect(Buffer.compare(await readFile(file), await readFile('dit.safetensors'))).toBe(0);
    await rm('used', { recursive: true });
  });

  test('keep the profile of a device', async () => {
    const closing: (() => Promise<void>)[] = [];
    const keepAs = resolve('profile.json');
    const device = { provider: 'webgpu', deviceId: 0 } as const;
    const watch = await watchPlacement({ device, isStrict: false, logger: () => {}, keepAs }, closing);
    await writeFile(`${watch.profileFilePrefix}_1.json`, '[]');
    await watch.afterFirstRun({ endProfile: async () => {} } as never, {}, {});
    for (const close of closing) await close();
    expect(await readFile(keepAs, 'utf8')).toBe('[]');
    expect(existsSync(watch.profileFilePrefix)).toBe(false);
  });
});
