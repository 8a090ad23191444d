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
  /** Adafactor chose the learning rates. */
  readonly ownLearningRates: boolean;
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

/** The resolved options of the run, as JSON, in the metadata of its adapters; not with `--no_metadata`. */
export const configKey = 'ss_musubi_ts_config';

/** All metadata of an adapter file but its hashes. */
export function adapterMetadata(config: TrainConfig, facts: RunFacts, at: SaveMoment): Record<string, string> {
  const { learning_rate: learningRate = '', optimizer_args: optimizerArgs = '' } = config.metadataText;
  const options = {
    // Options that the original's parser does not have, but its files record.
    full_fp16: false,
    full_bf16: false,
    ...config.metadataText,
    max_train_steps: String(facts.plan.maxTrainSteps),
    seed: String(facts.seed),
    ...(facts.ownLearningRates ? { learning_rate: 'None', lr_scheduler: `adafactor:${learningRate}` } : {}),
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
      optimizerArgs: facts.optimizer.endsWith('.Adafactor') ? adafactorArgs(optimizerArgs) : optimizerArgs,
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
  // Ours alone: readers of such files ignore keys they do not know.
  const own = config.noMetadata ? {} : { [configKey]: config.recordedConfig };
  return { ...training, ...own, ...modelspec };
}

/**
 * Finds wrong metadata options before anything is loaded.
 *
 * @throws {LoraError} `METADATA_RESOLUTION`
 */
export function checkMetadata(config: TrainConfig, { shortName }: Pick<Architecture, 'shortName'>, now: number): void {
  modelspecMetadata({
    architecture: shortName,
    timestamp: now,
    resolution: config.metadataReso,
    customArchitecture: config.metadataArch,
  });
}

/** The original decides on `relative_step` and records it: on unless switched off, and always with `warmup_init`. */
function adafactorArgs(given: string): string {
  if (!/(?:^|,)relative_step=/.test(given)) return given === '' ? 'relative_step=True' : `${given},relative_step=True`;
  const isWarmup = /(?:^|,)warmup_init=True/.test(given);
  return isWarmup ? given.replace(/((?:^|,)relative_step=)False/, '$1True') : given;
}
