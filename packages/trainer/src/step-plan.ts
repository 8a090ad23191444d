/** How many steps and epochs a run takes. */
export interface StepPlan {
  /** Optimizer steps. */
  readonly maxTrainSteps: number;
  readonly stepsPerEpoch: number;
  /** Epochs, the last of which may be cut off. */
  readonly numEpochs: number;
}

/**
 * A step completes every `gradientAccumulationSteps` batches and at the end of each epoch. `maxTrainEpochs`, where it is
 * given, replaces `maxTrainSteps`.
 */
export function planSteps(options: {
  readonly batchesPerEpoch: number;
  readonly gradientAccumulationSteps: number;
  readonly maxTrainSteps: number;
  readonly maxTrainEpochs: number | null;
}): StepPlan {
  const stepsPerEpoch = Math.ceil(options.batchesPerEpoch / options.gradientAccumulationSteps);
  const maxTrainSteps =
    options.maxTrainEpochs === null ? options.maxTrainSteps : options.maxTrainEpochs * stepsPerEpoch;
  return { maxTrainSteps, stepsPerEpoch, numEpochs: Math.ceil(maxTrainSteps / stepsPerEpoch) };
}
