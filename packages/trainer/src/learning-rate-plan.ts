import type { TrainConfig } from '@musubi/config';

import { type LoraGroup, createAdapter } from '@musubi/lora';
import { type Optimizer, createOptimizer } from '@musubi/optimizers';
import { TorchGenerator } from '@musubi/random';

import type { StepPlan } from './step-plan.ts';

import { parameterGroups } from './assemble-run.ts';
import { TrainerError } from './errors.ts';
import { learningRates } from './learning-rates.ts';

/** The learning rates of a run, known before it starts. */
export interface LearningRatePlan {
  /** Rate of a group at an optimizer step, counted from 0. */
  readonly schedule: (step: number, baseRate: number) => number;
  readonly totalSteps: number;
  /** Own rate of each parameter group. */
  readonly baseRates: readonly number[];
  /** Name of what chooses them. */
  readonly title: string;
}

/**
 * What the run would use, from its options alone: an adapter of a single weight stands for the one that is trained.
 *
 * @throws {TrainerError} `OPTION_CONFLICT` for an optimizer that chooses its rates while it trains; errors of the optimizer
 *   and the schedule
 */
export function learningRatePlan(config: TrainConfig, plan: Pick<StepPlan, 'maxTrainSteps'>): LearningRatePlan {
  const { groups, optimizer } = standInOptimizer(config);
  if (optimizer.ownLearningRates() !== null) throw unknownBefore(config);
  return {
    schedule: learningRates(config, optimizer, plan),
    totalSteps: plan.maxTrainSteps,
    baseRates: groups.map(({ learningRate }) => learningRate),
    title: optimizer.isScheduleFree ? config.optimizerType : config.lrSchedulerType || config.lrScheduler,
  };
}

/** The optimizer of a run, for an adapter of a single weight. @throws errors of the optimizer */
export function standInOptimizer(config: TrainConfig): { groups: readonly LoraGroup[]; optimizer: Optimizer } {
  const adapter = createAdapter({
    kind: config.networkKind,
    factor: config.lokrFactor,
    modules: [{ path: 'w', inFeatures: 1, outFeatures: 1 }],
    rank: 1,
    alpha: 1,
    generator: new TorchGenerator(0),
  });
  const groups = parameterGroups(adapter, config);
  return { groups, optimizer: createOptimizer(config.optimizerType, groups, config.optimizerArgs) };
}

function unknownBefore({ optimizerType }: TrainConfig): TrainerError {
  return new TrainerError(
    'OPTION_CONFLICT',
    `${optimizerType} chooses its learning rates while it trains, so there is no schedule to show.`,
    'Add relative_step=False to optimizer_args, or look at the rates in the logs of a run.',
    { option: 'show_lr_schedule' },
  );
}
