import { join } from 'node:path';

import { fromFloat32, toFloat32 } from '@musubi/safetensors';
import { createNodeRuntime } from '@musubi/runtime/node';
import { type Runtime } from '@musubi/runtime';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { readGoldenJson } from '../../../tests/golden.ts';
import { configKey } from '../src/run-metadata.ts';
import { type FinishedRun, type RunFolder, openRunFolder, readStore, short, wanRuns } from './run-folder.ts';

describe.each(wanRuns.slice(0, 1))('files of runs like %s', (name) => {
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

  describe('saved by steps and by epochs', () => {
    const { batches_per_epoch: batches } = readGoldenJson<{ batches_per_epoch: number }>('runs', name, 'run.json');
    let run: FinishedRun;

    beforeAll(async () => {
      const two = Math.ceil(batches / 2); // so that an epoch has two steps
      const steps = '--save_every_n_steps 2 --save_last_n_steps 3';
      const epochs = '--max_train_epochs 4 --save_every_n_epochs 1 --save_last_n_epochs 2';
      const options = `--gradient_accumulation_steps ${two} --output_name my_lora ${steps} ${epochs}`;
      run = await folder.run(options, { runtime });
    });

    test('max_train_epochs decides the number of steps', () => {
      expect(run.outcome).toMatchObject({ status: 'finished', steps: 8 });
      expect(run.steps).toHaveLength(4 * batches);
    });

    test('only the newest files are left', () => {
      expect(run.files).toEqual([
        'my_lora-000002.safetensors',
        'my_lora-000003.safetensors',
        'my_lora-step00000006.safetensors',
        'my_lora-step00000008.safetensors',
        'my_lora.safetensors',
      ]);
    });

    test('each event is told in its order', () => {
      const told = run.events.flatMap((e) => ('path' in e ? [`${e.type} ${shortName(e.path)}`] : []));
      expect(told).toEqual([
        'saved step00000002',
        'saved 000001',
        'saved step00000004',
        'saved 000002',
        'saved step00000006',
        'removed step00000002',
        'saved 000003',
        'removed 000001',
        'saved step00000008',
        'removed step00000004',
        'saved last',
      ]);
    });

    test.each([
      ['my_lora-step00000006.safetensors', '6', '2'],
      ['my_lora-000003.safetensors', '6', '3'],
      ['my_lora-step00000008.safetensors', '8', '3'],
      ['my_lora.safetensors', '8', '4'],
    ])('%s says step %s and epoch %s', async (file, step, epoch) => {
      expect(await metadataOf(run, file)).toMatchObject({
        ss_steps: step,
        ss_epoch: epoch,
        ss_max_train_steps: '8',
        ss_num_epochs: '4',
        ss_seed: String(run.config.seed),
      });
    });

    test('files of one moment have the same weights', async () => {
      const [step, epoch] = ['my_lora-step00000006.safetensors', 'my_lora-000003.safetensors'];
      expect(await tensorsOf(run, step)).toEqual(await tensorsOf(run, epoch));
      expect(await tensorsOf(run, 'my_lora-step00000008.safetensors')).not.toEqual(await tensorsOf(run, epoch));
    });
  });

  test.each([
    ['bf16', 'BF16'],
    ['fp16', 'F16'],
  ] as const)('save_precision %s rounds every tensor to %s', async (precision, dtype) => {
    const exact = await tensorsOf(await folder.run(`${short(2)} --output_name my_lora`, { runtime }));
    const options = `${short(2)} --output_name my_lora --save_precision ${precision}`;
    const rounded = await tensorsOf(await folder.run(options, { runtime }));
    expect(rounded).toEqual(
      new Map(
        Array.from(exact, ([key, { shape, data }]) => [
          key,
          { dtype, shape, data: toFloat32(fromFloat32(data, dtype), dtype) },
        ]),
      ),
    );
  });

  test('a run overwrites the file of an earlier one', async () => {
    const options = `${short(1)} --output_name my_lora --output_dir again`;
    const first = await metadataOf(await folder.run(options, { runtime }), 'my_lora.safetensors');
    const run = await folder.run(options, { runtime });
    expect(run.files).toEqual(['my_lora.safetensors']);
    const second = await metadataOf(run, 'my_lora.safetensors');
    expect(second['ss_session_id']).not.toBe(first['ss_session_id']);
    expect(second['sshs_model_hash']).toBe(first['sshs_model_hash']);
  });

  test('no_metadata keeps what readers recognise the file by', async () => {
    const run = await folder.run(`${short(1)} --output_name my_lora --no_metadata`, { runtime });
    const keys = Object.keys(await metadataOf(run, 'my_lora.safetensors'));
    expect(keys.filter((key) => key.startsWith('ss_'))).toEqual(
      expect.arrayContaining(['ss_base_model_version', 'ss_network_module', 'ss_network_dim', 'ss_network_alpha']),
    );
    expect(keys).not.toContain('ss_steps');
    expect(keys).not.toContain(configKey);
  });

  describe('an interrupted run', () => {
    test('saves its last step, with the number of completed epochs', async () => {
      const controller = new AbortController();
      const run = await folder.run(`${short(100)} --output_name my_lora`, {
        runtime,
        signal: controller.signal,
        onStep: ({ step }) => step === 2 && controller.abort(),
      });
      expect(run.outcome).toMatchObject({ status: 'interrupted', steps: 2 });
      expect(run.files).toEqual(['my_lora-step00000002.safetensors']);
      expect(await metadataOf(run, 'my_lora-step00000002.safetensors')).toMatchObject({ ss_steps: '2', ss_epoch: '0' });
    });

    test('has nothing to save before its first step', async () => {
      const run = await folder.run(short(100), { runtime, signal: AbortSignal.abort() });
      expect(run.outcome).toEqual({ status: 'interrupted', path: null, steps: 0 });
      expect(run.files).toEqual([]);
    });
  });

  test('of a run that failed its own fault is told, also where a session cannot be released after it', async () => {
    const failing: Runtime = {
      ...runtime,
      async createSession(request) {
        const session = await runtime.createSession(request);
        return {
          ...session,
          run: () => Promise.reject(new Error('of the run')),
          release: () => session.release().then(() => Promise.reject(new Error('of its end'))),
        };
      },
    };
    await expect(folder.run(short(1), { runtime: failing })).rejects.toThrow('of the run');
  });
});

const metadataOf = (run: FinishedRun, file: string) =>
  readStore(join(run.config.outputDir, file), ({ metadata }) => metadata);
const tensorsOf = (run: FinishedRun, file = 'my_lora.safetensors') =>
  readStore(join(run.config.outputDir, file), async (store) => {
    const tensors = Array.from(store.tensors.values(), async ({ name: key, dtype, shape }) => {
      return [key, { dtype, shape, data: await store.readFloat32(key) }] as const;
    });
    return new Map(await Promise.all(tensors));
  });

const shortName = (path: string) => path.replace(/^.*my_lora-?/, '').replace('.safetensors', '') || 'last';
