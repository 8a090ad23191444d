import type { TrainConfig } from '@musubi/config';
import type { TrainingData } from '@musubi/dataset';
import type { Architecture } from '@musubi/models';
import type { ProductDtype } from '@musubi/onnx-graph';

import { type AttentionRoom, type PlannedAttention, planAttention } from './plan-attention.ts';

/** How attention is computed in a run. */
export const chooseAttention = <Config>(
  config: Pick<TrainConfig, 'attention' | 'gradientCheckpointing' | 'gradientCheckpointingEvery'>,
  architecture: Architecture<Config>,
  modelConfig: Config,
  { datasets }: Pick<TrainingData, 'datasets'>,
  room: AttentionRoom,
  products: ProductDtype,
): PlannedAttention =>
  planAttention({
    choice: config.attention,
    architecture,
    config: modelConfig,
    datasets,
    gradientCheckpointing: config.gradientCheckpointing,
    gradientCheckpointingEvery: config.gradientCheckpointingEvery,
    products,
    ...room,
  });
