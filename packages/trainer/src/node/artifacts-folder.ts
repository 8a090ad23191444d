import type { TrainConfig } from '@musubi/config';
import type { ProductDtype } from '@musubi/onnx-graph';

import { existsSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

import { artifactFiles } from '@musubi/autodiff';
import { weightFilesFrom, writeTrainingArtifacts } from '@musubi/autodiff/node';
import { encodeModel } from '@musubi/onnx-graph';
import { adamwGraphOptions } from '@musubi/optimizers/graph';
import { writeFileAtomic } from '@musubi/safetensors/node';

import { type AssembledRun, parameterGroups } from '../assemble-run.ts';
import { TrainerError } from '../errors.ts';
import { createTrainingArtifacts } from '../training-artifacts.ts';
import { makeWritableFolder } from './make-folder.ts';

/** What may lie beside the files of `writeTrainingArtifacts`. */
const moreFiles = {
  highNoise: 'training_model_high_noise.onnx',
  profile: 'profile.json',
  highNoiseProfile: 'profile_high_noise.json',
  /** Where the weights lie, for graphs without a checkpoint: location in the graphs to path relative to the folder. */
  weightFiles: 'weight_files.json',
} as const;

/** `training_model.onnx` first. */
const allFiles = [...Object.values(artifactFiles), ...Object.values(moreFiles)];

export interface ArtifactsContext {
  /** Location of weights in the graphs to the path of their file. */
  readonly weightFiles: Readonly<Record<string, string>>;
  readonly products: ProductDtype;
  readonly logger: (line: string) => void;
}

/**
 * The folder of `--training_artifacts`, checked before hours are spent.
 *
 * @returns the folders made for it, the outermost first
 * @throws {TrainerError} `OUTPUT_UNWRITABLE`
 */
export async function makeArtifactsFolder(config: TrainConfig): Promise<readonly string[]> {
  const { trainingArtifacts: folder } = config;
  if (folder === null) return [];
  const option = 'training_artifacts';
  const made = await makeWritableFolder(folder, `${option} = "${folder}"`, option);
  const problem = problemOf(folder, config);
  if (problem === null) return made;
  throw new TrainerError('OUTPUT_UNWRITABLE', problem, `Choose another folder for ${option}.`, {
    option,
    file: folder,
  });
}

/** Why the files cannot be written to a folder, or would take the place of others than those of an earlier run. */
function problemOf(folder: string, config: TrainConfig): string | null {
  const checkpoint = join(folder, dirname(artifactFiles.state));
  if (existsSync(checkpoint) && !isFolder(checkpoint)) return `${checkpoint}, a folder to make, is a file.`;
  const present = allFiles.map((file) => join(folder, file)).filter((path) => existsSync(path));
  const blocked = present.find(isFolder);
  if (blocked !== undefined) return `${blocked}, a file to write, is a folder.`;
  const read = new Set(inputsOf(config).map((path) => resolve(path)));
  const needed = present.find((path) => read.has(resolve(path)));
  if (needed !== undefined) return `${needed}, a file to write, is one that this run reads.`;
  // It is written first and removed last.
  const training = join(folder, artifactFiles.training);
  if (present.length === 0 || existsSync(training)) return null;
  return `${present[0]}, a file to write, is there already and not of an earlier run, as there is no ${training}.`;
}

const isFolder = (path: string): boolean => statSync(path).isDirectory();

const inputsOf = ({ dit, ditHighNoise, networkWeights, baseWeights }: TrainConfig): readonly string[] =>
  [dit, ditHighNoise, networkWeights, ...baseWeights.map(({ path }) => path)].filter((path) => path !== null);

/**
 * Where the profile of a model's first step is kept; null: nowhere.
 *
 * @param index 0, or 1 of the model for high noise
 */
export function profileFile({ trainingArtifacts: folder }: TrainConfig, index: number): string | null {
  return folder === null ? null : join(folder, index === 0 ? moreFiles.profile : moreFiles.highNoiseProfile);
}

/**
 * Writes the graphs of a run as its sessions get them, before it trains: all that goes on from here with another program
 * where AdamW has a graph for it, else the training graphs alone. Weights stay in their files. What an earlier run left there is
 * replaced or removed, so that all in the folder is of one run.
 *
 * @throws {TrainerError} `OUTPUT_UNWRITABLE` when the disk or its rights do not let it; then none of the files is there
 */
export async function keepTrainingArtifacts(
  config: TrainConfig,
  run: AssembledRun,
  context: ArtifactsContext,
): Promise<void> {
  const { trainingArtifacts: folder } = config;
  if (folder === null) return;
  const files = allFiles.map((file) => join(folder, file)).toReversed();
  try {
    for (const file of files) await rm(file, { force: true });
    await writeArtifacts(folder, config, run, context);
  } catch (cause) {
    for (const file of files) await rm(file, { force: true }).catch(() => {});
    throw isOfDisk(cause) ? unwritable(folder, cause) : cause;
  }
  const path = join(folder, artifactFiles.training);
  context.logger(`training_artifacts: the graphs of this run are in ${folder}; see: musubi inspect ${path}`);
}

/** Errors of the operating system, as they are or as the cause of one that names the file. */
const isOfDisk = (error: unknown): error is Error =>
  error instanceof Error && ('syscall' in error || isOfDisk(error.cause));

function unwritable(folder: string, cause: Error): TrainerError {
  const option = 'training_artifacts';
  const reason = cause.message.trim().replace(/\.?$/, '.');
  return new TrainerError(
    'OUTPUT_UNWRITABLE',
    `${option} = "${folder}" could not be written, and what was is removed: ${reason}`,
    `Mend this, choose another folder for ${option}, or leave it out: the training itself does not need it.`,
    { option, file: folder },
    { cause },
  );
}

async function writeArtifacts(
  folder: string,
  config: TrainConfig,
  run: AssembledRun,
  { weightFiles, products, logger }: ArtifactsContext,
): Promise<void> {
  const adamw = adamwOf(config, run, products);
  if (typeof adamw !== 'string') {
    const { graphs, adapter, optimizer } = run;
    const groups = parameterGroups(adapter, config);
    const artifacts = createTrainingArtifacts({ graphs, adapter, optimizer, adamw, groups, weightFiles });
    await writeTrainingArtifacts(folder, artifacts);
  } else {
    logger(`training_artifacts: the training graph alone, because ${adamw}.`);
    const highNoise = run.highNoiseGraphs?.training;
    await writeFileAtomic(join(folder, artifactFiles.training), encodeModel(run.graphs.training));
    if (highNoise) await writeFileAtomic(join(folder, moreFiles.highNoise), encodeModel(highNoise));
    const paths = weightFilesFrom(folder, weightFiles);
    await writeFileAtomic(join(folder, moreFiles.weightFiles), `${JSON.stringify(paths, null, 2)}\n`);
  }
}

/** AdamW's graph for a run, or why there is none. */
function adamwOf(config: TrainConfig, { highNoiseGraphs }: AssembledRun, products: ProductDtype) {
  if (highNoiseGraphs) return 'there are two models';
  if (config.scaleWeightNorms !== null) return 'scale_weight_norms limits the weights outside of a graph';
  const adamw = adamwGraphOptions(config.optimizerType, config.optimizerArgs);
  if (!adamw) return `${config.optimizerType} with these optimizer_args has no graph`;
  // What gradients are scaled by has to be undone: the loss scale of float16, the number of batches that are summed.
  const scalesGradients = products === 'float16' || config.gradientAccumulationSteps > 1;
  return { ...adamw, maxGradNorm: config.maxGradNorm, scalesGradients };
}
