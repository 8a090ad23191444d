import type { EightBitBase, TrainConfig } from '@musubi/config';
import type { TrainingData } from '@musubi/dataset';

import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { basename } from 'node:path';

import { openTrainingData } from '@musubi/dataset/node';
import { wan } from '@musubi/models';
import { encodeModel } from '@musubi/onnx-graph';
import { PythonRandom } from '@musubi/random';
import { type MemoryPlan, type Provider, planMemory } from '@musubi/runtime';
import { machineMemory } from '@musubi/runtime/node';

import type { RunHooks, TrainOutcome } from './run-hooks.ts';

import { type AssembledRun, assembleRun } from '../assemble-run.ts';
import { chooseAttention } from '../choose-attention.ts';
import { chooseProducts } from '../choose-products.ts';
import { tellSkippedStep } from '../loss-scale.ts';
import { lowerEightBit } from '../lower-eight-bit.ts';
import { type RunFacts, checkMetadata } from '../run-metadata.ts';
import { createSaving } from '../saving.ts';
import { resolveTimestepBoundary } from '../timestep-boundary.ts';
import type { LowerWeights } from '../training-model.ts';
import { type TrainingHooks, train } from '../train.ts';
import { withClosing } from '../with-closing.ts';
import { makeOutputFolder, openAdapterFolder } from './adapter-folder.ts';
import { openHighNoiseModel } from './open-high-noise-model.ts';
import { watchPlacement } from './check-placement.ts';
import { chooseDevice, foldingWeights, graphFor } from './choose-device.ts';
import type { StoredBase } from '../eight-bit-weights.ts';
import { keepTrainingArtifacts, makeArtifactsFolder, profileFile } from './artifacts-folder.ts';
import { type EightBitContext, openEightBitBase } from './eight-bit-base.ts';
import { type BaseGiven, type BaseOption, eightBitRequest } from './eight-bit-request.ts';
import {
  type BaseModel,
  type FrozenAdapter,
  createWeightFiles,
  openBaseModel,
  openFrozenAdapters,
  readNetworkWeights,
} from './open-parts.ts';
import { mostSessions, openFixedShapeSessions } from './fixed-shapes.ts';
import { askCard, machineRoom } from './machine-room.ts';
import { openRuntime } from './open-runtime.ts';
import { openTrainingSessions } from './training-sessions.ts';
import { tryProducts } from './try-products.ts';
import { withFile } from './with-file.ts';

/**
 * A whole training run: opens what the configuration names, trains, writes the adapter.
 *
 * Paths are relative to the working folder.
 *
 * @throws typed errors of the packages concerned, each with a remedy. When a run fails after its first step, its adapter
 *   is saved first: as it is, or, when the loss, a gradient or a weight is not finite, as it was when it last gave a finite
 *   loss
 */
export async function runTraining(config: TrainConfig, hooks: RunHooks = {}): Promise<TrainOutcome> {
  const { logger = () => {} } = hooks;
  const startedAt = Date.now() / 1000;
  const sessionId = randomInt(2 ** 32);
  const seed = config.seed ?? randomInt(2 ** 32);
  const pythonRandom = new PythonRandom(seed);
  checkMetadata(config, wan, startedAt);
  const timestepBoundary = resolveTimestepBoundary(config, wan);
  await makeOutputFolder(config);
  await makeArtifactsFolder(config);

  const data = await openTrainingData({
    datasetConfigPath: config.datasetConfig,
    architecture: wan,
    datasetSeed: pythonRandom.randint(0, 2 ** 31),
    numTimestepBuckets: config.numTimestepBuckets ?? undefined,
    logger,
  });
  describeData(data, logger);

  return withClosing<TrainOutcome>(async (closing) => {
    const device = await chooseDevice(config.device, logger);
    const products = await chooseProducts(config.mixedPrecision, device.provider, tryProducts(device), logger);
    const files = createWeightFiles();
    const model = await openBaseModel(config, wan, closing, logger);
    const high = await openHighNoiseModel(config, wan, model, closing);
    describeModels(config, timestepBoundary, logger);
    const networkWeights = await readNetworkWeights(config);
    const frozen = await openFrozenAdapters(config, wan.lora.modules(model.config), files, closing);
    const store = (base: BaseModel<unknown>, option: BaseOption, merged: readonly FrozenAdapter[]) =>
      storeWeights(
        config,
        base,
        option,
        { architecture: wan, device, merged },
        { closing, logger, signal: hooks.signal },
      );
    const base = await store(model, 'dit', frozen);
    const highBase = high && (await store(high, 'dit_high_noise', []));
    const room = machineRoom(device, await askCard(device));
    const attention = chooseAttention(config, wan, model.config, data, room, products);
    logger(attention.reason);
    describeCheckpointing(config, wan.attention(model.config).layers, logger);
    const graphOptions = graphFor(device, config.eightBitBase);
    const open = highBase && !config.offloadInactiveDit ? [base, highBase] : [base];
    const memory = foldingWeights(memoryFor(open), graphOptions);
    const weights = base.source(files.locate(''));
    const run = assembleRun({
      config,
      seed,
      architecture: wan,
      model,
      weights,
      highNoise:
        highBase && timestepBoundary !== null
          ? { weights: highBase.source(files.locate('high_noise.')), timestepBoundary }
          : null,
      data,
      pythonRandom,
      networkWeights,
      attention: attention.plan,
      frozen: config.eightBitBase ? [] : frozen,
      products,
      ...graphOptions,
      ...(config.eightBitBase ? { lower: loweringFor(config.eightBitBase, memory, device.provider) } : {}),
    });
    describeRun(run, data, config, logger);

    const runtime = await openRuntime(hooks.runtime, closing);
    if (hooks.signal?.aborted) return { status: 'interrupted', path: null, steps: 0 };
    const request = (label: string) => {
      const { level: optimization, onDeviceOnly } = config.graphOptimization;
      const where = { providers: [device.provider], deviceId: device.deviceId, optimization, onDeviceOnly };
      return { label, externalFiles: files.paths, memory, ...where };
    };
    const models = [
      { request: request('training_model'), graph: run.graphs.training },
      ...(run.highNoiseGraphs
        ? [{ request: request('training_model of high noise'), graph: run.highNoiseGraphs.training }]
        : []),
    ];
    const placement = { device, isStrict: config.strictDevice, logger };
    const watches =
      device.provider === 'cpu'
        ? []
        : await Promise.all(
            models.map((_, index) => watchPlacement({ ...placement, keepAs: profileFile(config, index) }, closing)),
          );
    const offloadInactive = config.offloadInactiveDit;
    const step = config.graphOptimization.fixedShapes
      ? openFixedShapeSessions(
          runtime,
          { models, mostOpen: offloadInactive ? 1 : mostSessions(device.provider, memory, base), watches, logger },
          closing,
        )
      : await openTrainingSessions(
          runtime,
          {
            requests: models.map(({ request: where, graph }) => ({ ...where, model: encodeModel(graph) })),
            offloadInactive,
            watches,
          },
          closing,
        );

    await keepTrainingArtifacts(config, run, { weightFiles: files.paths, products, logger });
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
    return await trainAndSave(config, run, facts, step, hooks);
  }).catch((error: unknown) => {
    // called off while 8-bit weights were made
    if (hooks.signal?.aborted && error === hooks.signal.reason) return { status: 'interrupted', path: null, steps: 0 };
    throw error;
  });
}

async function trainAndSave(
  config: TrainConfig,
  run: AssembledRun,
  facts: RunFacts,
  step: Parameters<AssembledRun['start']>[0],
  { logger = () => {}, onEvent = () => {}, onStep, signal }: RunHooks,
): Promise<TrainOutcome> {
  const { adapter, optimizer, plan } = run;
  const totals = { totalSteps: plan.maxTrainSteps, totalEpochs: plan.numEpochs };
  const folder = openAdapterFolder({ config, adapter, optimizer, facts, onEvent, logger });
  const saving = createSaving(config, plan, folder);
  const hooks: TrainingHooks = {
    signal,
    onStep: saving.afterStep,
    onSkippedStep: tellSkippedStep(logger),
    onEpochStart: (epoch) => onEvent({ type: 'epoch', epoch, totalEpochs: plan.numEpochs }),
    onEpochEnd: async (at, averageLoss) => {
      onEvent({ type: 'epoch-end', epoch: at.epoch, averageLoss });
      await saving.afterEpoch(at);
    },
    onBatch: (report) => onStep?.({ ...report, ...totals, groupNames: run.groupNames }),
    onFailure: async (at) => {
      try {
        await saving.now(at);
        logger(`The run failed. Its adapter after step ${at.step} is in ${folder.lastPath}.`);
      } catch (error) {
        // What ended the run is told by its caller; this is a second fault, or the same again.
        logger(`The adapter could not be saved. ${error instanceof Error ? error.message : String(error)}`);
      }
    },
  };
  onEvent({ type: 'start', ...totals });
  const { status, ...at } = await train(run.start(step, hooks));
  if (status === 'completed') await saving.atEnd(at);
  else if (at.step > 0) await saving.now(at);
  return { status: status === 'completed' ? 'finished' : status, path: folder.lastPath, steps: at.step };
}

function describeData({ datasets }: TrainingData, logger: (line: string) => void): void {
  datasets.forEach(({ buckets, numItems, batchesPerEpoch }, i) => {
    const sizes = buckets.map(({ key, count }) => `${key.slice(0, 2).join('x')}: ${count}`).join(', ');
    logger(`dataset ${i}: ${numItems} items in ${batchesPerEpoch} batches (${sizes})`);
  });
}

function describeModels(config: TrainConfig, boundary: number | null, logger: (line: string) => void): void {
  const { ditHighNoise, timestepBoundary, offloadInactiveDit, numTimestepBuckets, baseWeights } = config;
  if (boundary === null) {
    if (timestepBoundary !== null) logger('timestep_boundary has no effect: there is no dit_high_noise.');
    if (offloadInactiveDit) logger('offload_inactive_dit has no effect: there is no dit_high_noise.');
    return;
  }
  const from = boundary > 1 ? boundary : 1000 * boundary;
  logger(`one adapter for two models: ${config.dit}, and from timestep ${from} on ${ditHighNoise}`);
  if (offloadInactiveDit) {
    logger(
      'offload_inactive_dit: each change of models loads one anew, which is quick, as weights stay in their files.',
    );
  }
  if (baseWeights.length > 0) logger('base_weights are added to the low noise model only, as the original does.');
  if (numTimestepBuckets !== null) {
    logger(
      'num_timestep_buckets spreads timesteps less evenly here: most are drawn again to fit the model of the batch.',
    );
  }
}

function describeCheckpointing(
  { gradientCheckpointing, gradientCheckpointingEvery: every }: TrainConfig,
  blocks: number,
  logger: (line: string) => void,
): void {
  if (!gradientCheckpointing || every === 1) return;
  const count = Math.floor(blocks / every);
  logger(`gradient_checkpointing_every ${every}: ${count || 'none'} of ${blocks} blocks are computed again`);
}

function describeRun(
  { adapter, plan, notLoaded }: AssembledRun,
  data: TrainingData,
  { networkVerbose, networkKind, networkArgs, loraplusLrRatio, scaleWeightNorms }: TrainConfig,
  logger: (line: string) => void,
) {
  if (notLoaded.length > 0) {
    logger(`network_weights has no weights for ${notLoaded.length} modules, e.g. ${notLoaded[0]}.`);
  }
  const { maxTrainSteps, numEpochs } = plan;
  const size = `${maxTrainSteps} steps in ${numEpochs} epochs of ${data.batchesPerEpoch} batches`;
  logger(`${adapter.modules.length} modules, ${size}`);
  if (networkVerbose) {
    for (const { name, rank, alpha } of adapter.modules) logger(`  ${name}: rank ${rank}, alpha ${alpha}`);
  }
  for (const key of ['conv_dim', 'conv_alpha'].filter((name) => name in (networkArgs ?? {}))) {
    logger(`${key} has no effect: the blocks of this model have no convolutions.`);
  }
  if (networkKind === 'lora') return;
  if (loraplusLrRatio !== null) logger('loraplus_lr_ratio has no effect: this kind of adapter has no lora_up.');
  if (scaleWeightNorms !== null) logger('scale_weight_norms has no effect: it limits products of LoRA only.');
}

/** The base weights where they lie: in the checkpoint, or in 8 bits in a file of their own. */
async function storeWeights(
  config: TrainConfig,
  model: BaseModel<unknown>,
  option: BaseOption,
  given: BaseGiven,
  context: EightBitContext,
): Promise<StoredBase> {
  const { eightBitBase } = config;
  if (!eightBitBase) return model;
  const request = eightBitRequest(config, option, model, given);
  return withFile(option, request.path, () => openEightBitBase(eightBitBase, request, context));
}

/** The 8-bit product of ONNX Runtime is the faster one only where sessions may pack weights. */
export function loweringFor(
  { method }: EightBitBase,
  { prepackWeights }: MemoryPlan,
  provider: Provider = 'cpu',
): LowerWeights {
  return lowerEightBit(method, { forward: prepackWeights ? 'product' : 'dequantize', provider });
}

/**
 * How the sessions of these models spend memory.
 *
 * @param models whose sessions are open at the same time
 */
export function memoryFor(models: readonly Pick<StoredBase, 'weights'>[]): MemoryPlan {
  const stored = models.flatMap(({ weights }) => [...weights.values()]);
  return planMemory({
    weightBytes: stored.reduce((sum, w) => sum + w.byteLength, 0),
    totalMemoryBytes: machineMemory(),
    narrowWeights: stored.some((w) => w.dtype !== 'F32' && w.shape.length > 1),
    integerBytes: stored.reduce((sum, w) => sum + (w.dtype === 'U8' ? w.byteLength : 0), 0),
  });
}

/** What metadata record of a file: its name, or the text as given when there is no such file. */
const nameOf = (path: string): string => (existsSync(path) ? basename(path) : path);
