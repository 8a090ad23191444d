import type { TrainConfig } from '@musubi/config';
import type { InjectedAdapter } from '@musubi/lora/graph';

import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { access, constants, mkdir, rm } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';

import { openTrainingData } from '@musubi/dataset/node';
import { loraFile, modelspecMetadata, readLora, savePrecision } from '@musubi/lora';
import { adapterSource } from '@musubi/lora/graph';
import { resolveWeights, wan } from '@musubi/models';
import { encodeModel } from '@musubi/onnx-graph';
import { PythonRandom } from '@musubi/random';
import { type Runtime, planMemory } from '@musubi/runtime';
import { createNodeRuntime } from '@musubi/runtime/node';
import { openSafetensorsFile, writeSafetensorsFile } from '@musubi/safetensors/node';
import { createStepClock, stepLogs } from '@musubi/tracking';
import { openJsonLog } from '@musubi/tracking/node';

import type { StepTiming } from '@musubi/tracking';

import { assembleRun } from '../assemble-run.ts';
import { epochFile, epochToRemove, lastFile, stepFile, stepToRemove } from '../checkpoint-files.ts';
import { TrainerError } from '../errors.ts';
import { type RunFacts, adapterMetadata } from '../run-metadata.ts';
import { type BatchReport, type RunPosition, train } from '../train.ts';

export interface RunHooks {
  /** One line of information, e.g. what is loaded. */
  readonly log?: (line: string) => void;
  /** One line about something the user should look at. */
  readonly warn?: (line: string) => void;
  readonly onStart?: (facts: { readonly totalSteps: number; readonly totalEpochs: number }) => void;
  /** After each batch. */
  readonly onBatch?: (report: BatchReport & StepTiming) => void;
  /** A file has been written. */
  readonly onSave?: (path: string) => void;
  /** Once aborted, the run finishes its step, saves the adapter and ends as interrupted. */
  readonly signal?: AbortSignal;
  /** The runtime to use; by default one on onnxruntime-node is started, and closed at the end. */
  readonly runtime?: Runtime;
}

export interface TrainOutcome {
  readonly status: 'completed' | 'interrupted';
  /** Completed optimizer steps. */
  readonly steps: number;
  readonly averageLoss: number;
  /** The last adapter file written. */
  readonly adapterFile: string;
  readonly logFile: string;
}

/**
 * A whole training run: opens what the configuration names, trains, writes the adapter.
 *
 * Paths are relative to the working folder. A log of every batch is appended to `<output_name>.log.jsonl` beside the
 * adapter.
 *
 * @throws typed errors of the packages concerned, each with a remedy; when the loss or a gradient is not finite, the
 *   adapter after the last good step is saved first
 */
export async function runTraining(config: TrainConfig, hooks: RunHooks = {}): Promise<TrainOutcome> {
  const { log = () => {}, warn = () => {} } = hooks;
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
    logger: warn,
  });
  data.datasets.forEach((dataset, i) => {
    const buckets = dataset.buckets.map(({ key, count }) => `${key.slice(0, 2).join('x')}: ${count}`).join(', ');
    log(`dataset ${i}: ${dataset.numItems} items in ${dataset.batchesPerEpoch} batches (${buckets})`);
  });

  const checkpoint = await openSafetensorsFile(config.dit);
  const closing: (() => Promise<void>)[] = [() => checkpoint.close()];
  try {
    const model = resolveWeights(checkpoint, architecture, {
      task: config.task,
      ...(config.modelConfig ? { modelConfig: config.modelConfig } : {}),
    });
    const folder = resolve(dirname(config.dit));
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
      warn(`network_weights has no weights for ${run.notLoaded.length} modules, e.g. ${run.notLoaded[0]}.`);
    }
    log(
      `${run.adapter.modules.length} modules, ${run.plan.maxTrainSteps} steps in ${run.plan.numEpochs} epochs of ${data.batchesPerEpoch} batches`,
    );
    hooks.onStart?.({ totalSteps: run.plan.maxTrainSteps, totalEpochs: run.plan.numEpochs });

    const runtime = hooks.runtime ?? (await createNodeRuntime());
    if (!hooks.runtime) closing.push(() => runtime.close());
    const weightBytes = [...model.weights.values()].reduce((sum, w) => sum + w.byteLength, 0);
    const session = await runtime.createSession({
      label: 'training_model',
      model: encodeModel(run.graphs.training),
      externalDataFolder: folder,
      memory: planMemory({ weightBytes, totalMemoryBytes: totalmem() }),
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
    const logFile = join(config.outputDir, `${config.outputName}.log.jsonl`);
    const jsonLog = openJsonLog(logFile);
    closing.push(async () => jsonLog.close());
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
      hooks.onSave?.(path);
    };
    const remove = async (file: string | null) => {
      if (file !== null) await rm(join(config.outputDir, file), { force: true });
    };
    const clock = createStepClock(run.plan.maxTrainSteps, () => performance.now() / 1000);
    jsonLog.write({ event: 'start', time: startedAt, seed, steps: run.plan.maxTrainSteps, epochs: run.plan.numEpochs });

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
      onEpochEnd: async (at) => {
        if (config.saveEveryNEpochs === null || at.epoch % config.saveEveryNEpochs !== 0) return;
        if (at.epoch >= run.plan.numEpochs) return;
        await save(epochFile(config.outputName, at.epoch), at);
        const old = epochToRemove(at.epoch, config.saveEveryNEpochs, config.saveLastNEpochs);
        await remove(old === null ? null : epochFile(config.outputName, old));
      },
      onBatch: (report) => {
        const { loss, averageLoss, nextLearningRates: learningRates } = report;
        jsonLog.write({
          event: 'batch',
          time: Date.now() / 1000,
          ...stepLogs({ loss, averageLoss, learningRates, groupNames: ['unet'] }),
          ...report,
        });
        hooks.onBatch?.({ ...report, ...clock(report.step) });
      },
    });
    try {
      const { status, step, averageLoss } = await train(loop);
      const last = status === 'completed' ? lastFile(config.outputName) : stepFile(config.outputName, step);
      const epoch = status === 'completed' ? run.plan.numEpochs : lastGood.epoch - 1;
      await save(last, { step, epoch });
      jsonLog.write({ event: 'end', time: Date.now() / 1000, status, step, averageLoss, file: adapterFile });
      return { status, steps: step, averageLoss, adapterFile, logFile };
    } catch (error) {
      const { step, epoch } = lastGood;
      if (step > 0 && isNonFinite(error)) await save(stepFile(config.outputName, step), { step, epoch: epoch - 1 });
      jsonLog.write({ event: 'error', time: Date.now() / 1000, step, message: String(error) });
      throw error;
    }
  } finally {
    for (const close of closing.toReversed()) await close();
  }

  async function frozenAdapter(
    { path, multiplier }: TrainConfig['baseWeights'][number],
    index: number,
    closers: (() => Promise<void>)[],
  ): Promise<InjectedAdapter> {
    const store = await openSafetensorsFile(path);
    closers.push(() => store.close());
    return {
      adapter: await readLora(store),
      multiplier,
      prefix: `base_weights.${index}.`,
      source: adapterSource(store, (file) => resolve(file)),
    };
  }
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
