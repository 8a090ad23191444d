import type { TrainConfig } from '@musubi/config';

import { openTrainingData } from '@musubi/dataset/node';
import { wan } from '@musubi/models';

import { type LearningRatePlan, learningRatePlan } from '../learning-rate-plan.ts';
import { planSteps } from '../step-plan.ts';

/**
 * The learning rates of a run (`--show_lr_schedule`). Only a run whose length is given in epochs needs its caches for that.
 *
 * @throws what {@link learningRatePlan} and the data set throw
 */
export async function planLearningRates(config: TrainConfig): Promise<LearningRatePlan> {
  if (config.maxTrainEpochs === null) return learningRatePlan(config, config);
  const { batchesPerEpoch } = await openTrainingData({
    datasetConfigPath: config.datasetConfig,
    architecture: wan,
    datasetSeed: 0,
  });
  return learningRatePlan(config, planSteps({ ...config, batchesPerEpoch }));
}
