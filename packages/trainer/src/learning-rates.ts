import type { TrainConfig } from '@musubi/config';
import type { Optimizer } from '@musubi/optimizers';

import { type RateSchedule, createSchedule } from '@musubi/schedulers';

import type { StepPlan } from './step-plan.ts';

import { TrainerError } from './errors.ts';

/**
 * Learning rate of a group at an optimizer step. Optimizers without a schedule keep the group's rate, whatever
 * `--lr_scheduler` says; Adafactor with its own rates refuses a warm-up, as the original does.
 */
export function learningRates(
  config: TrainConfig,
  optimizer: Pick<Optimizer, 'isScheduleFree' | 'ownLearningRates'>,
  { maxTrainSteps }: Pick<StepPlan, 'maxTrainSteps'>,
): RateSchedule {
  if (optimizer.isScheduleFree) return (_, rate) => rate;
  if (optimizer.ownLearningRates() !== null) {
    if (Object.values(config.lrWarmupSteps).some((count) => count > 0)) throw needlessWarmup(config);
    return (_, rate) => rate;
  }
  return createSchedule({
    name: config.lrScheduler,
    className: config.lrSchedulerType,
    args: config.lrSchedulerArgs,
    learningRate: config.learningRate,
    totalSteps: maxTrainSteps,
    warmup: config.lrWarmupSteps,
    decay: config.lrDecaySteps,
    numCycles: config.lrSchedulerNumCycles,
    power: config.lrSchedulerPower,
    timescale: config.lrSchedulerTimescale,
    minLrRatio: config.lrSchedulerMinLrRatio,
  });
}

function needlessWarmup({ optimizerType, metadataText }: TrainConfig): TrainerError {
  return new TrainerError(
    'OPTION_CONFLICT',
    `lr_warmup_steps = ${metadataText['lr_warmup_steps']}, but ${optimizerType} chooses its learning rates itself.`,
    'Remove lr_warmup_steps, or add relative_step=False to optimizer_args.',
    { option: 'lr_warmup_steps' },
  );
}
