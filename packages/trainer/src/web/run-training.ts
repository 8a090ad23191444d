import type { TrainConfig } from '@musubi/config';
import { type Runtime, probeProducts } from '@musubi/runtime';

import { blobFiles, loadTrainingData } from '@musubi/dataset';
import { type Adapter, loraFile, readAdapter, savePrecision } from '@musubi/lora';
import { wan } from '@musubi/models';
import type { ProductDtype } from '@musubi/onnx-graph';
import { PythonRandom } from '@musubi/random';
import { blobSource, encodeSafetensors, openSafetensors } from '@musubi/safetensors';

import type { RunHooks, TrainOutcome } from '../node/run-hooks.ts';
import type { OpenedDeviceWeights } from '../open-device-weights.ts';
import type { AdapterFolder } from '../saving.ts';

import { type AssembledRun, assembleRun } from '../assemble-run.ts';
import { chooseAttention } from '../choose-attention.ts';
import { chooseProducts } from '../choose-products.ts';
import { TrainerError } from '../errors.ts';
import { tellSkippedStep } from '../loss-scale.ts';
import { type RunFacts, adapterMetadata, checkMetadata } from '../run-metadata.ts';
import { createSaving } from '../saving.ts';
import { train } from '../train.ts';
import { type Closing, withClosing } from '../with-closing.ts';
import { inspectDevice } from './inspect-device.ts';
import { openBase } from './open-base.ts';
import { openSession } from './open-session.ts';
import {
  type OptimizerPlace,
  type TrainingSession,
  chooseOptimizerPlace,
  gradientsToKeep,
  openOptimizer,
} from './optimizer-place.ts';
import { pageRoom } from './page-room.ts';

export interface WebRunOptions extends Omit<RunHooks, 'runtime'> {
  /**
   * The files that the configuration names, by the paths that it names them with: base model, dataset configuration, and
   * in the cache folders of that the caches.
   */
  readonly files: ReadonlyMap<string, Blob>;
  /** It stays open. */
  readonly runtime: Runtime;
  /** Gets each adapter that is due, as the bytes of a safetensors file with its name. */
  readonly onSave: (file: string, bytes: Uint8Array) => void | Promise<void>;
}

/**
 * A whole training run on files that a page was given. Base weights are read where they lie, weight by weight; what a
 * second base model, frozen adapters and `.pth` files need is not here. Weights of types that the device does not know become
 * float32 first, on WebGPU float16 where products are (`--mixed_precision fp16`); a base in 8 bits is made first, too.
 *
 * @throws typed errors of the packages concerned, each with a remedy. When a run fails after its first step, its adapter
 *   is given to `onSave` first, as `runTraining` of `@musubi/trainer/node` saves it
 */
export async function runTraining(config: TrainConfig, options: WebRunOptions): Promise<TrainOutcome> {
  const { files, runtime, logger = () => {} } = options;
  const startedAt = Date.now() / 1000;
  assertSupported(config);
  if (config.trainingArtifacts !== null) logger('training_artifacts has no effect: a page keeps no graphs.');
  const device = await inspectDevice(runtime);
  const tryProducts = (dtype: ProductDtype) => probeProducts(runtime, dtype);
  const products = await chooseProducts(config.mixedPrecision, device.provider, tryProducts, logger);
  const [sessionId = 0, ownSeed = 0] = crypto.getRandomValues(new Uint32Array(2));
  const seed = config.seed ?? ownSeed;
  const pythonRandom = new PythonRandom(seed);
  checkMetadata(config, wan, startedAt);
  const data = await loadTrainingData(
    {
      datasetConfigPath: config.datasetConfig,
      architecture: wan,
      datasetSeed: pythonRandom.randint(0, 2 ** 31),
      numTimestepBuckets: config.numTimestepBuckets ?? undefined,
      logger,
    },
    blobFiles(files),
  );
  const dit = find(files, 'dit', config.dit);
  const stated = config.modelConfig ?? (await readModelJson(config.dit, files));
  const request = { file: dit, architecture: wan, stated, device, products };
  const base = await openBase(config, request, { logger, signal: options.signal });
  if (!base) return { status: 'interrupted', path: null, steps: 0 };
  const attention = chooseAttention(config, wan, base.model.config, data, pageRoom(runtime.info), products);
  logger(attention.reason);
  const forWebGpu = device.provider === 'webgpu';
  const run = assembleRun({
    config,
    seed,
    architecture: wan,
    model: base.model,
    weights: base.stored.source((file) => file),
    data,
    pythonRandom,
    networkWeights: await readNetworkWeights(config, files),
    attention: attention.plan,
    frozen: [],
    products,
    forWebGpu,
    widenAtLoad: forWebGpu && !base.lower,
    ...(base.lower ? { lower: base.lower } : {}),
  });
  if (run.notLoaded.length > 0) {
    logger(`network_weights has no weights for ${run.notLoaded.length} modules, e.g. ${run.notLoaded[0]}.`);
  }
  if (options.signal?.aborted) return { status: 'interrupted', path: null, steps: 0 };
  const place = chooseOptimizerPlace(config, runtime);
  logger(place.reason);
  const session = await openSession(runtime, run.graphs.training, config.dit, {
    ...base,
    ...(place.adamw ? { keepOnDevice: gradientsToKeep(run) } : {}),
  });
  const facts: RunFacts = {
    architecture: wan,
    data,
    plan: run.plan,
    seed,
    optimizer: run.optimizer.className,
    ownLearningRates: run.optimizer.ownLearningRates() !== null,
    sessionId,
    startedAt,
    ditName: nameOf(config.dit),
    vaeName: config.vae === null ? null : nameOf(config.vae),
  };
  return withClosing((closing) => {
    closing.push(() => session.release());
    return trainAndSave(config, run, facts, { runtime, session, place, closing }, options);
  });
}

async function trainAndSave(
  config: TrainConfig,
  run: AssembledRun,
  facts: RunFacts,
  { place, closing, ...on }: TrainingSession & { readonly place: OptimizerPlace; readonly closing: Closing },
  options: WebRunOptions,
): Promise<TrainOutcome> {
  const { logger = () => {}, onEvent = () => {}, onStep, signal } = options;
  const totals = { totalSteps: run.plan.maxTrainSteps, totalEpochs: run.plan.numEpochs };
  let path: string | null = null;
  let opened: OpenedDeviceWeights | null = null;
  const folder: AdapterFolder = {
    async write(file, at) {
      await opened?.weights.toHost();
      await options.onSave(file, await adapterBytes(config, run, facts, at));
      path = file;
      onEvent({ type: 'saved', path: file, step: at.step });
    },
    // what was given away is not ours
    remove: async () => {},
  };
  const saving = createSaving(config, run.plan, folder);
  const training = run.start((feeds) => on.session.run(feeds), {
    signal,
    onStep: saving.afterStep,
    onEpochStart: (epoch) => onEvent({ type: 'epoch', epoch, totalEpochs: run.plan.numEpochs }),
    onEpochEnd: async (position, averageLoss) => {
      onEvent({ type: 'epoch-end', epoch: position.epoch, averageLoss });
      await saving.afterEpoch(position);
    },
    onSkippedStep: tellSkippedStep(logger),
    onBatch: (report) => onStep?.({ ...report, ...totals, groupNames: run.groupNames }),
    onFailure: async (position) => {
      try {
        await saving.now(position);
        logger(`The run failed. Its adapter after step ${position.step} is ${path}.`);
      } catch (error) {
        // What ended the run is told by its caller; this is a second fault, or the same: the graphics device is lost.
        logger(`The adapter could not be saved. ${error instanceof Error ? error.message : String(error)}`);
      }
    },
  });
  opened = await openOptimizer(place, config, run, training, on);
  if (opened) closing.push(opened.close);
  onEvent({ type: 'start', ...totals });
  const { status, ...at } = await train(opened ? { ...training, weights: opened.weights } : training);
  if (status === 'completed') await saving.atEnd(at);
  else if (at.step > 0) await saving.now(at);
  return { status: status === 'completed' ? 'finished' : status, path, steps: at.step };
}

async function adapterBytes(
  config: TrainConfig,
  { adapter, optimizer }: AssembledRun,
  facts: RunFacts,
  at: { readonly step: number; readonly epoch: number },
): Promise<Uint8Array> {
  const metadata = adapterMetadata(config, facts, { ...at, savedAt: Date.now() / 1000 });
  optimizer.eval();
  try {
    const file = await loraFile(adapter, { dtype: savePrecision(config.savePrecision), metadata });
    return await encodeSafetensors(file.tensors, { metadata: file.metadata });
  } finally {
    optimizer.train();
  }
}

/** `model.json` beside the checkpoint says what shapes cannot tell; null where there is none. */
async function readModelJson(dit: string, files: ReadonlyMap<string, Blob>): Promise<Record<string, unknown> | null> {
  const path = dit.slice(0, dit.lastIndexOf('/') + 1) + 'model.json';
  const text = await files.get(path)?.text();
  if (text === undefined) return null;
  try {
    const content: unknown = JSON.parse(text);
    if (typeof content === 'object' && content !== null && !Array.isArray(content)) {
      return content as Record<string, unknown>;
    }
  } catch {
    // said below
  }
  const remedy = 'Correct it, or leave it out.';
  throw new TrainerError('FILE_UNUSABLE', `${path} is no JSON object.`, remedy, { option: 'dit', file: path });
}

async function readNetworkWeights(
  { networkWeights }: TrainConfig,
  files: ReadonlyMap<string, Blob>,
): Promise<Adapter | null> {
  if (networkWeights === null) return null;
  const blob = find(files, 'network_weights', networkWeights);
  return readAdapter(await openSafetensors(blobSource(blob, networkWeights)));
}

function find(files: ReadonlyMap<string, Blob>, option: string, path: string): Blob {
  const blob = files.get(path);
  if (blob) return blob;
  const found = `${option} = "${path}" is not among the ${files.size} files given.`;
  throw new TrainerError('FILE_UNUSABLE', found, 'Add the file, or correct its name.', { option, file: path });
}

function assertSupported(config: TrainConfig): void {
  const option = unsupportedOption(config);
  if (option === null) return;
  const found = `${option} does not work in browsers.`;
  throw new TrainerError('OPTION_CONFLICT', found, 'Leave it out, or train with @musubi/cli.', { option });
}

function unsupportedOption({ ditHighNoise, baseWeights }: TrainConfig): string | null {
  if (ditHighNoise !== null) return 'dit_high_noise';
  if (baseWeights.length > 0) return 'base_weights';
  return null;
}

const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
