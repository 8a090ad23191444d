import type { TrainConfig } from '@musubi/config';
import type { InjectedAdapter } from '@musubi/lora/graph';

import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { access, constants, mkdir, rm } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { basename, dirname, join } from 'node:path';

import { openTrainingData } from '@musubi/dataset/node';
import { loraFile, modelspecMetadata, readLora, savePrecision } from '@musubi/lora';
import { adapterSource } from '@musubi/lora/graph';
import { resolveWeights, wan } from '@musubi/models';
import { encodeModel } from '@musubi/onnx-graph';
import { PythonRandom } from '@musubi/random';
import { type Runtime, planMemory } from '@musubi/runtime';
import { createNodeRuntime } from '@musubi/runtime/node';
import { openSafetensorsFile, writeSafetensorsFile } from '@musubi/safetensors/node';

import { assembleRun } from '../assemble-run.ts';
import { epochFile, epochToRemove, lastFile, stepFile, stepToRemove } from '../checkpoint-files.ts';
import { TrainerError } from '../errors.ts';
import { type RunFacts, adapterMetadata } from '../run-metadata.ts';
import { type BatchReport, type RunPosition, train } from '../train.ts';

/** What is known after a batch. */
export interface TrainStep extends BatchReport {
  readonly totalSteps: number;
  readonly totalEpochs: number;
  readonly groupNames: readonly string[];
}

export type TrainEvent =
  | { readonly type: 'start'; readonly totalSteps: number; readonly totalEpochs: number }
  | { readonly type: 'epoch'; readonly epoch: number; readonly totalEpochs: number }
  | { readonly type: 'epoch-end'; readonly epoch: number; readonly averageLoss: number }
  | { readonly type: 'saved'; readonly path: string; readonly step: number }
  | { readonly type: 'removed'; readonly path: string };

export interface RunHooks {
  /** Gets lines for the user: what is loaded, what to look at. */
  readonly logger?: (line: string) => void;
  /** After each batch. */
  readonly onStep?: (step: TrainStep) => void;
  readonly onEvent?: (event: TrainEvent) => void;
  /** When aborted, the run finishes its optimizer step, saves the adapter and ends. */
  readonly signal?: AbortSignal;
  /** The runtime to use; by default one on onnxruntime-node is started, and closed at the end. */
  readonly runtime?: Runtime;
}

export interface TrainOutcome {
  readonly status: 'finished' | 'interrupted';
  /** The adapter saved last. */
  readonly path: string;
  /** Completed optimizer steps. */
  readonly steps: number;
}

/**
 * A whole training run: opens what the configuration names, trains, writes the adapter.
 *
 * Paths are relative to the working folder.
 *
 * @throws typed errors of the packages concerned, each with a remedy; when the loss or a gradient is not finite, the
 *   adapter after the last good step is saved first
 */
export async function runTraining(config: TrainConfig, hooks: RunHooks = {}): Promise<TrainOutcome> {
  const { logger = () => {}, onEvent = () => {} } = hooks;
  const architecture = wan;
  const seed = config.seed ?? randomInt(2 ** 32);
  const startedAt = Date.now() / 1000;
  checkMetadata(config, startedAt);
  await makeOutputFolder(config.outputDir);

  const data = await openTrainingData({
    datasetConfigPath: config.datasetConfig,
    architecture,
    datasetSeed: new PythonRandom(seed).randint(0, 2 ** 31),
    numTimestepBuckets: config.numTimestepBuckets ?? undefined,
    logger,
  });
  data.datasets.forEach((dataset, i) => {
    const buckets = dataset.buckets.map(({ key, count }) => `${key.slice(0, 2).join('x')}: ${count}`).join(', ');
    logger(`dataset ${i}: ${dataset.numItems} items in ${dataset.batchesPerEpoch} batches (${buckets})`);
  });

  const checkpoint = await openSafetensorsFile(config.dit);
  const closing: (() => Promise<void>)[] = [() => checkpoint.close()];
  try {
    const model = resolveWeights(checkpoint, architecture, {
      task: config.task,
      ...(config.modelConfig ? { modelConfig: config.modelConfig } : {}),
    });
    const networkWeights = config.networkWeights === null ? null : await readAdapter(config.networkWeights);
    const frozen = await Promise.all(config.baseWeights.map((base, i) => frozenAdapter(base, i, closing)));
    const run = assembleRun({
      config,
      seed,
      architecture,
      model,
      weights: model.source((file) => basename(file)),
      data,
      networkWeights,
      frozen,
    });
    if (run.notLoaded.length > 0) {
      logger(`network_weights has no weights for ${run.notLoaded.length} modules, e.g. ${run.notLoaded[0]}.`);
    }
    logger(
      `${run.adapter.modules.length} modules, ${run.plan.maxTrainSteps} steps in ${run.plan.numEpochs} epochs of ${data.batchesPerEpoch} batches`,
    );
    const totals = { totalSteps: run.plan.maxTrainSteps, totalEpochs: run.plan.numEpochs };

    const runtime = hooks.runtime ?? (await createNodeRuntime());
    if (!hooks.runtime) closing.push(() => runtime.close());
    const stored = [...model.weights.values()];
    const weightBytes = stored.reduce((sum, w) => sum + w.byteLength, 0);
    const narrowWeights = stored.some((w) => w.dtype !== 'F32' && w.shape.length > 1);
    const session = await runtime.createSession({
      label: 'training_model',
      model: encodeModel(run.graphs.training),
      externalDataFolder: dirname(config.dit),
      externalFiles: Object.fromEntries(frozen.map(({ location, path }) => [location, path])),
      memory: planMemory({ weightBytes, totalMemoryBytes: totalmem(), narrowWeights }),
    });
    closing.push(() => session.release());

    const facts: RunFacts = {
      architecture,
      data,
      plan: run.plan,
      seed,
      optimizer: run.optimizer.className,
      sessionId: randomInt(2 ** 32),
      startedAt,
      ditName: nameOf(config.dit),
      vaeName: config.vae === null ? null : nameOf(config.vae),
    };
    let adapterFile = '';
    const save = async (file: string, { step, epoch }: RunPosition) => {
      const path = join(config.outputDir, file);
      const metadata = adapterMetadata(config, facts, { step, epoch, savedAt: Date.now() / 1000 });
      const { tensors, metadata: all } = await loraFile(run.adapter, {
        dtype: savePrecision(config.savePrecision),
        metadata,
      });
      await writeSafetensorsFile(path, tensors, { metadata: all });
      adapterFile = path;
      onEvent({ type: 'saved', path, step });
    };
    const remove = async (file: string | null) => {
      if (file === null) return;
      const path = join(config.outputDir, file);
      await rm(path, { force: true });
      onEvent({ type: 'removed', path });
    };
    onEvent({ type: 'start', ...totals });

    let lastGood: RunPosition = { step: 0, epoch: 0 };
    const loop = run.start((feeds) => session.run(feeds), {
      signal: hooks.signal,
      onStep: async (at) => {
        lastGood = at;
        if (config.saveEveryNSteps === null || at.step % config.saveEveryNSteps !== 0) return;
        // Step files carry the number of completed epochs.
        await save(stepFile(config.outputName, at.step), { ...at, epoch: at.epoch - 1 });
        const old = stepToRemove(at.step, config.saveEveryNSteps, config.saveLastNSteps);
        await remove(old === null ? null : stepFile(config.outputName, old));
      },
      onEpochStart: (epoch) => onEvent({ type: 'epoch', epoch, totalEpochs: totals.totalEpochs }),
      onEpochEnd: async (at, averageLoss) => {
        onEvent({ type: 'epoch-end', epoch: at.epoch, averageLoss });
        if (config.saveEveryNEpochs === null || at.epoch % config.saveEveryNEpochs !== 0) return;
        if (at.epoch >= run.plan.numEpochs) return;
        await save(epochFile(config.outputName, at.epoch), at);
        const old = epochToRemove(at.epoch, config.saveEveryNEpochs, config.saveLastNEpochs);
        await remove(old === null ? null : epochFile(config.outputName, old));
      },
      onBatch: (report) => hooks.onStep?.({ ...report, ...totals, groupNames: ['unet'] }),
    });
    try {
      const { status, step } = await train(loop);
      const isDone = status === 'completed';
      const epoch = isDone ? run.plan.numEpochs : lastGood.epoch - 1;
      await save(isDone ? lastFile(config.outputName) : stepFile(config.outputName, step), { step, epoch });
      return { status: isDone ? 'finished' : 'interrupted', path: adapterFile, steps: step };
    } catch (error) {
      const { step, epoch } = lastGood;
      if (step > 0 && isNonFinite(error)) await save(stepFile(config.outputName, step), { step, epoch: epoch - 1 });
      throw error;
    }
  } finally {
    for (const close of closing.toReversed()) await close();
  }
}

/** An adapter that stays as it is, read where it lies; its file is a location of its own. */
async function frozenAdapter(
  { path, multiplier }: TrainConfig['baseWeights'][number],
  index: number,
  closing: (() => Promise<void>)[],
): Promise<FrozenAdapter> {
  const store = await openSafetensorsFile(path);
  closing.push(() => store.close());
  const location = `base_weights/${index}.safetensors`;
  return {
    location,
    path,
    adapter: await readLora(store),
    multiplier,
    prefix: `base_weights.${index}.`,
    source: adapterSource(store, () => location),
  };
}

interface FrozenAdapter extends InjectedAdapter {
  readonly location: string;
  readonly path: string;
}

async function readAdapter(path: string) {
  const store = await openSafetensorsFile(path);
  try {
    return await readLora(store);
  } finally {
    await store.close();
  }
}

const isNonFinite = (error: unknown): boolean =>
  error instanceof TrainerError && (error.code === 'NON_FINITE_LOSS' || error.code === 'NON_FINITE_GRADIENT');

/** What metadata record of a file: its name, or the text as given when there is no such file. */
const nameOf = (path: string): string => (existsSync(path) ? basename(path) : path);

/** Finds wrong metadata options before anything is loaded. */
function checkMetadata(config: TrainConfig, timestamp: number): void {
  modelspecMetadata({
    architecture: wan.shortName,
    timestamp,
    resolution: config.metadataReso,
    customArchitecture: config.metadataArch,
  });
}

async function makeOutputFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
    await access(path, constants.W_OK);
  } catch (cause) {
    throw new TrainerError(
      'OUTPUT_UNWRITABLE',
      `output_dir = "${path}" cannot be written to.`,
      'Choose a folder that can be made and written to.',
      { option: 'output_dir', file: path },
      { cause },
    );
  }
}
