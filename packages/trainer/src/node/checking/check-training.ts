import type { TrainConfig } from '@musubi/config';
import type { PreparedDataset } from '@musubi/dataset';
import type { Adapter, MergedAdapter } from '@musubi/lora';
import type { ResolvedWeights, WanConfig } from '@musubi/models';

import { existsSync } from 'node:fs';

import { createTrainingData } from '@musubi/dataset';
import { findTrainingData } from '@musubi/dataset/node';
import { factorsOf } from '@musubi/lora';
import { type CheckpointModel, resolveWeights, umt5, wan, wanVae } from '@musubi/models';
import { PythonRandom } from '@musubi/random';
import { openCheckpointFile, openSafetensorsFile } from '@musubi/safetensors/node';

import type { Finding } from '../../findings.ts';

import { createRunSampler, dropoutOf, initialAdapter } from '../../assemble-run.ts';
import { baseDtype } from '../../base-dtype.ts';
import { standInOptimizer } from '../../learning-rate-plan.ts';
import { learningRates } from '../../learning-rates.ts';
import { checkMetadata } from '../../run-metadata.ts';
import { type StepPlan, planSteps } from '../../step-plan.ts';
import { resolveTimestepBoundary } from '../../timestep-boundary.ts';
import { type Closing, withClosing } from '../../with-closing.ts';
import { makeOutputFolder } from '../adapter-folder.ts';
import { makeArtifactsFolder } from '../artifacts-folder.ts';
import { chooseDevice } from '../choose-device.ts';
import { checkEightBitBase } from '../eight-bit-base.ts';
import { type BaseGiven, type BaseOption, eightBitRequest } from '../eight-bit-request.ts';
import { removeFolders } from '../make-folder.ts';
import { type BaseModel, openBaseModel, openFrozenAdapter, readNetworkWeights } from '../open-parts.ts';
import { openHighNoiseModel } from '../open-high-noise-model.ts';
import { withFile } from '../with-file.ts';
import { checkCacheFreshness } from './cache-freshness.ts';
import { checkCacheHeaders } from './cache-headers.ts';
import { type Collector, createCollector } from './collect.ts';
import { checkDiskSpace } from './disk-space.ts';
import { openHeadersOnly } from './headers-only.ts';

/**
 * Does the steps with which a training run begins, each whatever became of the others, and lists all that is wrong. Weights are
 * not read and nothing is left on the disk. An option whose text is empty is not looked at: that it is missing was told.
 *
 * @throws only what is a fault in the program
 */
export async function checkTraining(config: TrainConfig): Promise<readonly Finding[]> {
  const collector = createCollector();
  await withClosing(async (closing) => {
    await collector.attempt(() => checkMetadata(config, wan, 0), { option: 'metadata_reso' });
    const place = { option: 'timestep_boundary' };
    const timestepBoundary = await collector.attempt(() => resolveTimestepBoundary(config, wan), place);
    await checkSampling(collector, config, timestepBoundary);
    const datasets = await checkData(collector, config);
    const plan = datasets && (await planOf(collector, config, datasets));
    await checkOptimizer(collector, config, plan?.maxTrainSteps ?? config.maxTrainSteps);
    const model =
      config.dit === ''
        ? null
        : await collector.attempt(() => openBaseModel(config, wan, closing, () => {}), { option: 'dit' });
    const high = await checkHighNoise(collector, config, model, closing);
    const merged: MergedAdapter[] = [];
    const adapter = await checkAdapters(collector, config, model, closing, merged);
    const device = await collector.attempt(() => chooseDevice(config.device, () => {}), { option: 'device' });
    const given = { architecture: wan, device: device ?? anyDevice };
    await checkEightBit(collector, config, 'dit', model, { ...given, merged });
    await checkEightBit(collector, config, 'dit_high_noise', high, { ...given, merged: [] });
    if (datasets) await checkCacheHeaders(collector, datasets, wan, model?.config ?? null);
    await checkOutput(collector, config, plan, adapter);
    await checkUnused(collector, config);
  });
  return collector.findings;
}

async function checkSampling(
  collector: Collector,
  config: TrainConfig,
  timestepBoundary: number | null,
): Promise<void> {
  const dtype = baseDtype(new Map());
  const random = { seed: 0, pythonRandom: new PythonRandom(0) };
  const highNoise = timestepBoundary === null ? null : { timestepBoundary };
  const place = { option: 'timestep_sampling' };
  await collector.attempt(() => createRunSampler(config, dtype, random, highNoise), place);
  await collector.attempt(() => dropoutOf(config), { option: 'network_dropout' });
}

async function checkData(collector: Collector, config: TrainConfig): Promise<PreparedDataset[] | null> {
  const { datasetConfig: datasetConfigPath } = config;
  if (datasetConfigPath === '') return null;
  const { caught: onProblem, warning: warn } = collector;
  const place = { option: 'dataset_config', file: datasetConfigPath };
  const datasets = await collector.attempt(
    () => findTrainingData({ datasetConfigPath, architecture: wan, warn, onProblem }),
    place,
  );
  await checkCacheFreshness(collector, datasetConfigPath);
  return datasets;
}

function planOf(collector: Collector, config: TrainConfig, datasets: PreparedDataset[]): Promise<StepPlan | null> {
  // `num_timestep_buckets` is looked at with the timesteps
  const options = { datasetSeed: 0, openCache: openSafetensorsFile };
  return collector.attempt(
    () => planSteps({ ...config, batchesPerEpoch: createTrainingData(datasets, options).batchesPerEpoch }),
    { file: config.datasetConfig },
  );
}

async function checkOptimizer(collector: Collector, config: TrainConfig, maxTrainSteps: number): Promise<void> {
  if (config.optimizerType === '') return;
  const made = await collector.attempt(() => standInOptimizer(config), { option: 'optimizer_type' });
  const optimizer = made?.optimizer ?? anyOptimizer;
  const place = { option: config.lrSchedulerType === '' ? 'lr_scheduler' : 'lr_scheduler_type' };
  await collector.attempt(() => learningRates(config, optimizer, { maxTrainSteps }), place);
}

/** Stands for one that is not known, whose schedule can be looked at all the same. */
const anyOptimizer = { isScheduleFree: false, ownLearningRates: () => null };

/** @param low null where the first model is not known: then it is not compared */
async function checkHighNoise(
  collector: Collector,
  config: TrainConfig,
  low: BaseModel<WanConfig> | null,
  closing: Closing,
): Promise<BaseModel<WanConfig> | null> {
  const { ditHighNoise } = config;
  if (ditHighNoise === null) return null;
  const open = async () => {
    if (low) return openHighNoiseModel(config, wan, low, closing);
    const store = await withFile('dit_high_noise', ditHighNoise, () => openCheckpointFile(ditHighNoise));
    closing.push(() => store.close());
    return null;
  };
  return collector.attempt(open, { option: 'dit_high_noise' });
}

/** `--fp8_base`, `--fp8_scaled`, `--int8_base`: what would keep their file from being made. */
async function checkEightBit(
  collector: Collector,
  config: TrainConfig,
  option: BaseOption,
  model: BaseModel<WanConfig> | null,
  given: BaseGiven,
): Promise<void> {
  const { eightBitBase } = config;
  if (eightBitBase === null || model === null) return;
  const request = eightBitRequest(config, option, model, given);
  const check = () => withFile(option, request.path, () => checkEightBitBase(eightBitBase, request));
  await collector.attempt(check, { option });
}

/** Stands for one that cannot be used. */
const anyDevice = { provider: 'cpu' } as const;

/**
 * Looks at the adapter to begin with and at those of `--base_weights`.
 *
 * @param merged takes those of `--base_weights` that fit
 * @returns the adapter that would be trained, without its weights
 */
async function checkAdapters(
  collector: Collector,
  config: TrainConfig,
  model: ResolvedWeights<WanConfig> | null,
  closing: Closing,
  merged: MergedAdapter[],
): Promise<Adapter | null> {
  const networkWeights = await collector.attempt(() => readNetworkWeights(config, openHeadersOnly), {
    option: 'network_weights',
  });
  const layers = model && wan.lora.modules(model.config);
  for (const { path, multiplier } of config.baseWeights) {
    const place = { option: 'base_weights' };
    const found = await collector.attempt(() => openFrozenAdapter(path, layers, closing, openHeadersOnly), place);
    if (found) merged.push({ ...found, multiplier });
  }
  if (model === null) return null;
  const initial = await collector.attempt(
    () => initialAdapter({ config, architecture: wan, model, networkWeights }, noNumbers),
    { option: 'network_args' },
  );
  return initial?.adapter ?? null;
}

/** Weights are not looked at, so none are drawn. */
const noNumbers = {
  uniform: (count: number) => new Float32Array(count),
  randn: (count: number) => new Float32Array(count),
  skip: () => {},
};

async function checkOutput(
  collector: Collector,
  config: TrainConfig,
  plan: StepPlan | null,
  adapter: Adapter | null,
): Promise<void> {
  const graphs = await collector.attempt(() => makeArtifactsFolder(config), { option: 'training_artifacts' });
  if (graphs) await removeFolders(graphs);
  if (config.outputDir === '') return;
  const made = await collector.attempt(() => makeOutputFolder(config), { option: 'output_dir' });
  if (made === null) return;
  await removeFolders(made);
  if (adapter === null || plan === null) return;
  const numbers = adapter.modules.flatMap(factorsOf).reduce((sum, { shape: [m, n] }) => sum + m * n, 0);
  const bytes = numbers * (config.savePrecision === 'fp32' ? 4 : 2) * savedFiles(config, plan);
  await checkDiskSpace(collector, {
    folder: config.outputDir,
    bytes,
    what: 'The adapters to save',
    option: 'output_dir',
  });
}

/** Files that lie in the output folder at the end, at most. */
function savedFiles(config: TrainConfig, { maxTrainSteps, numEpochs }: StepPlan): number {
  const { saveEveryNEpochs, saveLastNEpochs, saveEveryNSteps, saveLastNSteps } = config;
  const keptSteps = saveLastNSteps === null ? null : Math.ceil(saveLastNSteps / (saveEveryNSteps ?? 1));
  const ofEpochs = keptFiles(numEpochs, saveEveryNEpochs, saveLastNEpochs);
  return 1 + ofEpochs + keptFiles(maxTrainSteps, saveEveryNSteps, keptSteps);
}

function keptFiles(total: number, every: number | null, last: number | null): number {
  if (every === null || every < 1) return 0;
  const all = Math.floor(total / every);
  return last === null ? all : Math.min(all, last + 1);
}

/** Files that training does not read, but that a configuration names for caching and samples. */
async function checkUnused(collector: Collector, config: TrainConfig): Promise<void> {
  const t5 = config.metadataText['t5'] ?? 'None';
  const files: readonly [option: string, path: string | null, model: CheckpointModel<unknown>][] = [
    ['vae', config.vae, wanVae],
    ['t5', t5 === 'None' ? null : t5, umt5],
  ];
  for (const [option, path, model] of files) {
    if (path === null || path === '') continue;
    if (existsSync(path)) await collector.attempt(() => readHeader(option, path, model), { option }, 'warning');
    else {
      const message = `${option} = "${path}" does not exist. Training goes without it.`;
      collector.warn('FILE_NOT_FOUND', { option, file: path }, message, 'Correct or remove it.');
    }
  }
}

function readHeader(option: string, path: string, model: CheckpointModel<unknown>): Promise<void> {
  return withFile(option, path, async () => {
    const store = await openCheckpointFile(path);
    try {
      resolveWeights(store, model);
    } finally {
      await store.close();
    }
  });
}
