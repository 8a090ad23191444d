import { describe, expect, test } from 'vitest';

import { hasGolden, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { fakeRun } from '../tests/fake-run.ts';
import { type AdapterFolder, createSaving } from './saving.ts';
import { planSteps } from './step-plan.ts';
import { train } from './train.ts';

interface RecordedRun {
  readonly name: string;
  readonly options: readonly string[];
  readonly batches_per_epoch: number;
  readonly optimizer_steps: number;
  readonly micro_steps: number;
  readonly events: readonly { readonly event: string; readonly global_step?: number; readonly file?: string }[];
}

const runs = hasGolden('files', 'training_runs.json')
  ? readGoldenJson<{ runs: RecordedRun[] }>('files', 'training_runs.json').runs
  : [];

test('the repository has runs that save by steps and by epochs', () => {
  const options = runs.flatMap((run) => run.options);
  if (isDefaultGolden) {
    expect(options).toEqual(expect.arrayContaining(['--save_last_n_steps', '--save_last_n_epochs']));
  }
});

describe('a run saves and removes what the original does, in its order', () => {
  test.each(runs)('$name', async ({ name, options, batches_per_epoch, events, micro_steps, optimizer_steps }) => {
    const number = (option: string) => {
      const at = options.indexOf(`--${option}`);
      return at < 0 ? null : Number(options[at + 1]);
    };
    const counts = {
      batchesPerEpoch: batches_per_epoch,
      gradientAccumulationSteps: number('gradient_accumulation_steps') ?? 1,
      maxTrainSteps: number('max_train_steps') ?? 1600,
      maxTrainEpochs: number('max_train_epochs'),
    };
    const { files, folder } = notingFolder();
    const saving = createSaving(
      {
        outputName: name,
        saveEveryNSteps: number('save_every_n_steps'),
        saveLastNSteps: number('save_last_n_steps'),
        saveEveryNEpochs: number('save_every_n_epochs'),
        saveLastNEpochs: number('save_last_n_epochs'),
      },
      planSteps(counts),
      folder,
    );
    const hooks = { onStep: saving.afterStep, onEpochEnd: saving.afterEpoch };
    const { run, seen } = fakeRun({ ...counts, hooks });
    const { step, epoch } = await train(run);
    await saving.atEnd({ step, epoch });

    expect([seen.length, step]).toEqual([micro_steps, optimizer_steps]);
    expect(files).toEqual(
      events.filter((e) => e.event === 'save' || e.event === 'remove').map(({ event, file }) => `${event} ${file}`),
    );
  });
});

describe('outside the schedule', () => {
  const options = {
    outputName: 'm',
    saveEveryNSteps: 2,
    saveLastNSteps: null,
    saveEveryNEpochs: null,
    saveLastNEpochs: null,
  };
  const plan = planSteps({ batchesPerEpoch: 5, gradientAccumulationSteps: 1, maxTrainSteps: 20, maxTrainEpochs: null });

  test('a step is saved as its own file, with the number of completed epochs', async () => {
    const { positions, folder } = notingFolder();
    await createSaving(options, plan, folder).now({ step: 7, epoch: 2 });
    expect(positions).toEqual({ 'm-step00000007.safetensors': { step: 7, epoch: 1 } });
  });

  test('a step that the schedule saved is not written again', async () => {
    const { files, folder } = notingFolder();
    const saving = createSaving(options, plan, folder);
    await saving.afterStep({ step: 2, epoch: 1 });
    await saving.now({ step: 2, epoch: 1 });
    await saving.now({ step: 1, epoch: 1 });
    expect(files).toEqual(['save m-step00000002.safetensors', 'save m-step00000001.safetensors']);
  });

  test('a step whose file could not be written is tried again', async () => {
    const { files, folder } = notingFolder();
    let isFull = true;
    const write: AdapterFolder['write'] = async (file, at) => {
      if (isFull) throw new Error('full');
      await folder.write(file, at);
    };
    const saving = createSaving(options, plan, { ...folder, write });
    await expect(saving.afterStep({ step: 2, epoch: 1 })).rejects.toThrow('full');
    isFull = false;
    await saving.now({ step: 2, epoch: 1 });
    expect(files).toEqual(['save m-step00000002.safetensors']);
  });
});

/** Writes down what is saved and removed; only what is there can be removed. */
function notingFolder() {
  const files: string[] = [];
  const positions: Record<string, { step: number; epoch: number }> = {};
  const folder: AdapterFolder = {
    async write(file, { step, epoch }) {
      files.push(`save ${file}`);
      positions[file] = { step, epoch };
    },
    async remove(file) {
      if (file in positions) files.push(`remove ${file}`);
      delete positions[file];
    },
  };
  return { files, positions, folder };
}
