import type { TrainConfig } from '@musubi/config';
import type { TrainingData } from '@musubi/dataset';
import type { Architecture } from '@musubi/models';

import { modelspecMetadata, trainingMetadata } from '@musubi/lora';

import type { StepPlan } from './step-plan.ts';

/** What the metadata of a saved adapter say beside the options. */
export interface RunFacts {
  readonly architecture: Pick<Architecture, 'shortName' | 'longName'>;
  readonly data: Pick<TrainingData, 'numTrainItems' | 'batchesPerEpoch' | 'metadataJson'>;
  readonly plan: StepPlan;
  readonly seed: number;
  /** Class name, e.g. `torch.optim.adamw.AdamW`. */
  readonly optimizer: string;
  /** Random number of the run. */
  readonly sessionId: number;
  /** Unix seconds. */
  readonly startedAt: number;
  /** File names of the base model and its VAE, null when none was given. */
  readonly ditName: string | null;
  readonly vaeName: string | null;
}

/** The moment a file is saved at. */
export interface SaveMoment {
  readonly step: number;
  readonly epoch: number;
  /** Unix seconds. */
  readonly savedAt: number;
}

/** All metadata of an adapter file but its hashes. */
export function adapterMetadata(config: TrainConfig, facts: RunFacts, at: SaveMoment): Record<string, string> {
  const options = {
    // Options that the original's parser does not have, but its files record.
    full_fp16: false,
    full_bf16: false,
    ...config.metadataText,
    max_train_steps: String(facts.plan.maxTrainSteps),
    seed: String(facts.seed),
  };
  const training = trainingMetadata(
    {
      options,
      sessionId: facts.sessionId,
      startedAt: facts.startedAt,
      numTrainItems: facts.data.numTrainItems,
      numBatchesPerEpoch: facts.data.batchesPerEpoch,
      numEpochs: facts.plan.numEpochs,
      baseModelVersion: facts.architecture.longName,
      optimizer: facts.optimizer,
      optimizerArgs: config.metadataText['optimizer_args'] ?? '',
      datasets: facts.data.metadataJson,
      networkArgs: config.networkArgs,
      sdModelName: facts.ditName,
      vaeName: facts.vaeName,
    },
    { finishedAt: at.savedAt, steps: at.step, epoch: at.epoch },
    { noMetadata: config.noMetadata },
  );
  const modelspec = modelspecMetadata({
    architecture: facts.architecture.shortName,
    timestamp: at.savedAt,
    title: config.metadataTitle ?? config.outputName,
    author: config.metadataAuthor,
    description: config.metadataDescription,
    license: config.metadataLicense,
    tags: config.metadataTags,
    resolution: config.metadataReso,
    customArchitecture: config.metadataArch,
    minTimestep: config.minTimestep,
    maxTimestep: config.maxTimestep,
  });
  return { ...training, ...modelspec };
}
