import type { TrainConfig } from '@musubi/config';
import type { TrainingData } from '@musubi/dataset';
import type { Architecture } from '@musubi/models';

import { machineMemory } from '@musubi/runtime/node';

import { type PlannedAttention, planAttention } from '../plan-attention.ts';

/** How attention is computed on this machine. */
export const chooseAttention = <Config>(
  { attention, gradientCheckpointing }: Pick<TrainConfig, 'attention' | 'gradientCheckpointing'>,
  architecture: Architecture<Config>,
  config: Config,
  { datasets }: Pick<TrainingData, 'datasets'>,
): PlannedAttention =>
  planAttention({
    choice: attention,
    architecture,
    config,
    datasets,
    gradientCheckpointing,
    totalMemoryBytes: machineMemory(),
  });
