import { expect, test } from 'vitest';

import { hasGolden, readGoldenJson } from '../../../tests/golden.ts';
import { planSteps } from './step-plan.ts';

interface EpochCase {
  readonly batches_per_epoch: number;
  readonly gradient_accumulation_steps: number;
  readonly max_train_steps: number;
  readonly max_train_epochs: number | null;
  readonly resulting_max_train_steps: number;
  readonly updates_per_epoch: number;
  readonly num_epochs: number;
}

const cases = hasGolden('files', 'training_rules.json')
  ? readGoldenJson<{ epochs: EpochCase[] }>('files', 'training_rules.json').epochs
  : [];

test.each(cases)(
  '$batches_per_epoch batches by $gradient_accumulation_steps, $max_train_steps steps, $max_train_epochs epochs',
  (c) => {
    const plan = planSteps({
      batchesPerEpoch: c.batches_per_epoch,
      gradientAccumulationSteps: c.gradient_accumulation_steps,
      maxTrainSteps: c.max_train_steps,
      maxTrainEpochs: c.max_train_epochs,
    });
    expect(plan).toEqual({
      maxTrainSteps: c.resulting_max_train_steps,
      stepsPerEpoch: c.updates_per_epoch,
      numEpochs: c.num_epochs,
    });
  },
);
