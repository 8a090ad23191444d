import type { TensorStore } from '@musubi/safetensors';

import { join } from 'node:path';

import { openSafetensorsFile } from '@musubi/safetensors/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { configKey } from '../src/run-metadata.ts';
import { type FinishedRun, type RunFolder, openRunFolder, wanRuns } from './run-folder.ts';

interface RecordedRun {
  readonly micro_steps: readonly {
    readonly micro_step: number;
    readonly epoch: number;
    readonly batch_in_epoch: number;
    readonly dataset: number;
    readonly items: readonly string[];
    readonly timesteps: readonly number[];
    readonly loss: number;
    readonly loss_average: number;
    readonly completes_step: number | null;
  }[];
  readonly steps: readonly {
    readonly step: number;
    readonly lr: readonly number[];
    readonly lr_after: readonly number[];
    readonly gradient_norm: number;
  }[];
  readonly files: readonly { readonly file: string; readonly kept: boolean }[];
}

/** Metadata that the original draws or reads from a clock. */
const unseeded = ['ss_session_id', 'ss_training_started_at', 'ss_training_finished_at', 'modelspec.date'];

test('the repository has a whole run', () => {
  if (isDefaultGolden) expect(wanRuns).toContain('wan_t2v');
});

describe.each(wanRuns)('the whole run %s from its seed alone', (name) => {
  const recorded = readGoldenJson<RecordedRun>('runs', name, 'run.json');
  let folder: RunFolder;
  let finished: FinishedRun;

  beforeAll(async () => {
    folder = await openRunFolder(name);
    finished = await folder.run('--output_dir output');
  }, 120_000);
  afterAll(() => folder.close());

  test('has the batches, in the order of the original', () => {
    expect(
      finished.steps.map(({ epoch, batchInEpoch, datasetIndex, items }) => ({
        epoch,
        batchInEpoch,
        datasetIndex,
        items,
      })),
    ).toEqual(
      recorded.micro_steps.map((m) => ({
        epoch: m.epoch,
        batchInEpoch: m.batch_in_epoch,
        datasetIndex: m.dataset,
        items: m.items,
      })),
    );
  });

  test('has its timesteps', () => {
    recorded.micro_steps.forEach((m, i) =>
      expect(finished.steps[i]?.timesteps).toBeAllClose(m.timesteps, { rtol: 1e-6 }),
    );
  });

  test('has the loss of every batch and its average', () => {
    expect(finished.losses).toBeAllClose(
      recorded.micro_steps.map((m) => m.loss),
      { rtol: 1e-5 },
    );
    expect(finished.steps.map((s) => s.averageLoss)).toBeAllClose(
      recorded.micro_steps.map((m) => m.loss_average),
      { rtol: 1e-5 },
    );
  });

  test('has its learning rates and gradient norms', () => {
    const completed = finished.steps.filter((s) => s.completesStep);
    expect(completed.map((s) => s.step)).toEqual(recorded.steps.map((s) => s.step));
    expect(completed.flatMap((s) => s.stepLearningRates)).toBeAllClose(
      recorded.steps.flatMap((s) => s.lr),
      { rtol: 1e-5 },
    );
    expect(completed.flatMap((s) => s.learningRates)).toBeAllClose(
      recorded.steps.flatMap((s) => s.lr_after),
      { rtol: 1e-5 },
    );
    expect(completed.map((s) => s.gradientNorm ?? Number.NaN)).toBeAllClose(
      recorded.steps.map((s) => s.gradient_norm),
      { rtol: 1e-5 },
    );
  });

  test('writes the same files', () => {
    expect(finished.files).toEqual(recorded.files.map(({ file }) => file).toSorted());
    expect(finished.outcome).toMatchObject({ status: 'finished', steps: recorded.steps.length });
    expect(finished.events.filter((e) => e.type === 'saved').map((e) => e.path)).toEqual(
      recorded.files.map(({ file }) => join('output', file)),
    );
  });

  test.each(recorded.files.filter((f) => f.kept).map((f) => f.file))('%s has the same content', async (file) => {
    const [ours, theirs] = [await openSafetensorsFile(join('output', file)), await openSafetensorsFile(file)];
    expect(layout(ours)).toEqual(layout(theirs));
    for (const key of theirs.tensors.keys()) {
      expect(await ours.readFloat32(key), key).toBeAllClose(await theirs.readFloat32(key), { atol: 2e-5 });
    }
    expect(Object.keys(ours.metadata).toSorted()).toEqual([...Object.keys(theirs.metadata), configKey].toSorted());
    expect(ours.metadata[configKey]).toBe(finished.config.recordedConfig);
    // The hash covers the values, which agree within rounding only.
    const compared = Object.keys(theirs.metadata).filter((k) => !unseeded.includes(k) && k !== 'sshs_model_hash');
    expect(pick(ours.metadata, compared)).toEqual(pick(theirs.metadata, compared));
    await ours.close();
    await theirs.close();
  });
});

const layout = (store: TensorStore) =>
  Array.from(store.tensors.values(), ({ name, dtype, shape }) => ({ name, dtype, shape }));

const pick = (record: Readonly<Record<string, string>>, keys: readonly string[]) =>
  Object.fromEntries(keys.map((key) => [key, record[key]]));
