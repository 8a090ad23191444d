import type { TrainConfig } from '@musubi/config';

import type { StepPlan } from './step-plan.ts';
import type { RunPosition } from './train.ts';

import { epochFile, epochToRemove, lastFile, stepFile, stepToRemove } from './checkpoint-files.ts';

/** Where a run puts its adapter. */
export interface AdapterFolder {
  /** Writes the adapter as it is now. The position is what its metadata say. */
  write(file: string, at: RunPosition): Promise<void>;
  /** Removes an older file; nothing happens when it is not there. */
  remove(file: string): Promise<void>;
}

/** Saves the adapter when it is due, and removes old files, as the original does. */
export interface Saving {
  readonly afterStep: (at: RunPosition) => Promise<void>;
  readonly afterEpoch: (at: RunPosition) => Promise<void>;
  readonly atEnd: (at: RunPosition) => Promise<void>;
  /** Outside the schedule, as the file of its step: an interrupted run, or one that failed. */
  readonly now: (at: RunPosition) => Promise<void>;
}

type SavingOptions = Pick<
  TrainConfig,
  'outputName' | 'saveEveryNSteps' | 'saveLastNSteps' | 'saveEveryNEpochs' | 'saveLastNEpochs'
>;

/**
 * Epochs in metadata: step files carry the number of completed ones, epoch files the one just finished, the last file the
 * planned number. There is no epoch file of the last epoch.
 */
export function createSaving(options: SavingOptions, plan: StepPlan, folder: AdapterFolder): Saving {
  const { outputName: name, saveEveryNSteps, saveLastNSteps, saveEveryNEpochs, saveLastNEpochs } = options;
  let savedStep: number | null = null;

  async function now({ step, epoch }: RunPosition): Promise<void> {
    if (savedStep === step) return;
    await folder.write(stepFile(name, step), { step, epoch: Math.max(0, epoch - 1) });
    savedStep = step;
  }
  return {
    now,
    async afterStep(at) {
      if (saveEveryNSteps === null || at.step % saveEveryNSteps !== 0) return;
      await now(at);
      const old = stepToRemove(at.step, saveEveryNSteps, saveLastNSteps);
      if (old !== null) await folder.remove(stepFile(name, old));
    },
    async afterEpoch(at) {
      if (saveEveryNEpochs === null || at.epoch % saveEveryNEpochs !== 0 || at.epoch >= plan.numEpochs) return;
      await folder.write(epochFile(name, at.epoch), at);
      const old = epochToRemove(at.epoch, saveEveryNEpochs, saveLastNEpochs);
      if (old !== null) await folder.remove(epochFile(name, old));
    },
    atEnd: ({ step }) => folder.write(lastFile(name), { step, epoch: plan.numEpochs }),
  };
}
