import type { TrainConfig } from '@musubi/config';
import type { Runtime, Session } from '@musubi/runtime';

import { gradientName } from '@musubi/autodiff';
import { loraParameters } from '@musubi/lora';
import { adamwGraphOptions } from '@musubi/optimizers/graph';

import type { TrainingRun } from '../train.ts';

import { type AssembledRun, parameterGroups } from '../assemble-run.ts';
import { type OpenedDeviceWeights, openDeviceWeights } from '../open-device-weights.ts';

/** Where a run has its weights and takes its steps. */
export interface OptimizerPlace {
  /** What of AdamW the options choose; null: on the host. */
  readonly adamw: ReturnType<typeof adamwGraphOptions>;
  /** One line that says where and why. */
  readonly reason: string;
}

type Choice = Pick<TrainConfig, 'optimizerType' | 'optimizerArgs' | 'scaleWeightNorms'>;

/** On the device where tensors can stay there and the optimizer has a graph, else on the host. */
export function chooseOptimizerPlace(config: Choice, { info }: Pick<Runtime, 'info'>): OptimizerPlace {
  const adamw = adamwGraphOptions(config.optimizerType, config.optimizerArgs);
  if (!info.keepsOnDevice) return onHost(`nothing can stay on ${info.device ?? 'the device'} between runs`);
  if (!adamw) return onHost(`${config.optimizerType} with these optimizer_args has no graph`);
  if (config.scaleWeightNorms !== null) return onHost('scale_weight_norms limits the weights there');
  return { adamw, reason: `optimizer: on ${info.device ?? 'the device'}, where weights, gradients and moments stay` };
}

const onHost = (why: string): OptimizerPlace => ({ adamw: null, reason: `optimizer: on the host, because ${why}` });

/** Outputs of the training graph that stay on the device. */
export const gradientsToKeep = ({ adapter }: Pick<AssembledRun, 'adapter'>): string[] =>
  loraParameters(adapter).map(({ name }) => gradientName(name));

/** What the training graph runs on. */
export interface TrainingSession {
  readonly runtime: Runtime;
  /** It keeps its gradients where the optimizer is on the device. */
  readonly session: Session;
}

/** @returns null where the run has its weights on the host */
export async function openOptimizer(
  { adamw }: OptimizerPlace,
  config: TrainConfig,
  { adapter }: AssembledRun,
  training: TrainingRun,
  { runtime, session }: TrainingSession,
): Promise<OpenedDeviceWeights | null> {
  if (!adamw) return null;
  const groups = parameterGroups(adapter, config);
  return openDeviceWeights({ runtime, run: (feeds) => session.runOnDevice(feeds), training, groups, adamw });
}
