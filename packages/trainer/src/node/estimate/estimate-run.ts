import type { TrainConfig } from '@musubi/config';
import type { WanConfig } from '@musubi/models';
import type { AttentionPlan, Graph, HostTensor } from '@musubi/onnx-graph';
import type { NodeWork } from '@musubi/onnx-graph/analysis';
import type { MemoryPlan, Runtime } from '@musubi/runtime';

import { loraParameters } from '@musubi/lora';
import { wan } from '@musubi/models';
import { createMemoryModel, graphWork } from '@musubi/onnx-graph/analysis';
import { PythonRandom } from '@musubi/random';
import { machineMemory } from '@musubi/runtime/node';

import { type AssembledRun, assembleRun } from '../../assemble-run.ts';
import { chooseAttention } from '../../choose-attention.ts';
import { bindSymbols } from '../../estimate/bind-symbols.ts';
import { secondsPerParameter, usableShare } from '../../estimate/constants.ts';
import { type RunMemory, memoryOfGraph } from '../../estimate/memory-of-run.ts';
import { TrainerError } from '../../errors.ts';
import { type DeviceSpeed, graphSeconds } from '../../estimate/step-time.ts';
import { resolveTimestepBoundary } from '../../timestep-boundary.ts';
import { chooseDevice, foldingWeights, graphFor } from '../choose-device.ts';
import type { StoredBase } from '../../eight-bit-weights.ts';
import { askCard, machineRoom } from '../machine-room.ts';
import { openHighNoiseModel } from '../open-high-noise-model.ts';
import {
  type BaseModel,
  type Closing,
  createWeightFiles,
  openBaseModel,
  openFrozenAdapters,
  readNetworkWeights,
} from '../open-parts.ts';
import { openRuntime } from '../open-runtime.ts';
import { planEightBitBase } from '../../plan-eight-bit-base.ts';
import { loweringFor, memoryFor } from '../run-training.ts';
import { withFile } from '../with-file.ts';
import { type BatchShape, readBatchShapes } from './batch-shapes.ts';
import { otherSettings } from './other-settings.ts';
import { probeDevice } from './probe-device.ts';
import { watchProgram } from './program-memory.ts';

export interface EstimateHooks {
  /** Gets lines for the user. */
  readonly logger?: (line: string) => void;
  /** The runtime to measure; by default one on onnxruntime-node is started, and closed at the end. */
  readonly runtime?: Runtime;
}

/** What a run will need. Bytes and seconds. */
export interface RunEstimate {
  readonly model: {
    readonly name: string;
    /** Of the base models, as stored: mapped from their files, not copied. */
    readonly weightBytes: number;
    /** On disk, beside the checkpoint, for weights in 8 bits; else 0. */
    readonly fileBytes: number;
    readonly adapterParameters: number;
  };
  /** From where the sizes are: the caches, or the pictures where none are made yet. */
  readonly source: 'caches' | 'pictures';
  readonly machine: { readonly memoryBytes: number };
  readonly memory: RunMemory;
  readonly fits: boolean;
  readonly buckets: readonly BucketEstimate[];
  /** Mean over an epoch. */
  readonly secondsPerStep: number;
  readonly steps: number;
  readonly secondsOfRun: number;
  /** The same run with other settings. */
  readonly alternatives: readonly Alternative[];
}

export interface BucketEstimate extends BatchShape {
  /** The graph's lengths, e.g. `S` tokens. */
  readonly lengths: Readonly<Record<string, number>>;
  /** Forward and backward pass. */
  readonly flops: number;
  readonly activationBytes: number;
  /** Forward and backward pass of one batch. */
  readonly seconds: number;
}

export interface Alternative {
  /** As a user would set it, e.g. `gradient_checkpointing = true`. */
  readonly change: string;
  readonly memoryBytes: number;
  readonly fits: boolean;
  readonly secondsPerStep: number;
  /** As in {@link RunEstimate.model}. */
  readonly weightBytes: number;
  readonly fileBytes: number;
}

/**
 * Memory and time that a run will need, from the headers of its files, its configuration and a measurement of the device
 * that takes about two seconds. No weight of the base model is read.
 *
 * @throws what a run with this configuration throws before it loads its model
 */
export async function estimateRun(config: TrainConfig, hooks: EstimateHooks = {}): Promise<RunEstimate> {
  const { logger = () => {} } = hooks;
  const closing: Closing = [];
  try {
    const runtime = await openRuntime(hooks.runtime, closing);
    const program = watchProgram();
    const timestepBoundary = resolveTimestepBoundary(config, wan);
    const { source, data, shapes } = await readBatchShapes(config, wan, logger);
    const device = await chooseDevice(config.device, logger);
    if (device.provider !== 'cpu') logger(limitsOn(device.provider));
    const files = createWeightFiles();
    const model = await openBaseModel(config, wan, closing, logger);
    const high = await openHighNoiseModel(config, wan, model, closing);
    const networkWeights = await readNetworkWeights(config);
    const frozen = await openFrozenAdapters(config, wan.lora.modules(model.config), files, closing);

    const room = machineRoom(device, await askCard(device));
    const assemble = async (changes: Partial<TrainConfig>): Promise<PlannedRun> => {
      const [seed, changed] = [config.seed ?? 0, { ...config, ...changes }];
      const { eightBitBase } = changed;
      const base = await storedBase(changed, model, 'dit');
      const highBase = high && (await storedBase(changed, high, 'dit_high_noise'));
      const open = highBase && !config.offloadInactiveDit ? [base, highBase] : [base];
      const attention = chooseAttention(changed, wan, model.config, data, room, 'float32').plan;
      const graphOptions = graphFor(device, eightBitBase);
      const memory = foldingWeights(memoryFor(open, attention !== 'whole'), graphOptions);
      const run = assembleRun({
        config: changed,
        seed,
        architecture: wan,
        model,
        weights: base.source(files.locate('')),
        highNoise:
          highBase && timestepBoundary !== null
            ? { weights: highBase.source(files.locate('high_noise.')), timestepBoundary }
            : null,
        data,
        pythonRandom: new PythonRandom(seed),
        networkWeights,
        attention,
        frozen: eightBitBase ? [] : frozen,
        ...graphOptions,
        ...(eightBitBase ? { lower: loweringFor(eightBitBase, memory, device.provider) } : {}),
      });
      const bases = highBase ? [base, highBase] : [base];
      return {
        run,
        attention,
        memory,
        sessions: open.length,
        weightBytes: total(bases.map(bytesOf)),
        isStored: eightBitBase !== null,
      };
    };
    const machine = { memoryBytes: machineMemory() };
    const fits = (bytes: number) => bytes <= usableShare * machine.memoryBytes;
    const planned = await assemble({});
    const processBytes = program.bytes();
    let speed: DeviceSpeed | undefined;
    const cost = async (wanted: PlannedRun, given: readonly BatchShape[]) => {
      const work = workOf(wanted.run.graphs.training, model.config, given);
      speed ??= await probeDevice(runtime, largest(work), wanted.memory, device);
      return costOf({ ...wanted, processBytes }, work, speed, config.gradientAccumulationSteps);
    };

    const now = await cost(planned, shapes);
    const alternatives: Alternative[] = [];
    for (const { change, changes, reshape, mustSave = false } of otherSettings(config, shapes, planned.attention)) {
      const other = await assemble(changes).catch(refusedRun);
      if (!other) continue;
      const { memory: needed, secondsPerStep } = await cost(other, shapes.map(reshape));
      const least = Math.min(now.memory.total, ...alternatives.map(({ memoryBytes }) => memoryBytes));
      if (mustSave && needed.total >= least) continue;
      alternatives.push({
        change,
        memoryBytes: needed.total,
        fits: fits(needed.total),
        secondsPerStep,
        ...onDisk(other),
      });
    }
    const { run } = planned;
    return {
      model: {
        name: wan.longName,
        weightBytes: planned.weightBytes,
        fileBytes: onDisk(planned).fileBytes,
        adapterParameters: countParameters(run),
      },
      source,
      machine,
      ...now,
      fits: fits(now.memory.total),
      steps: run.plan.maxTrainSteps,
      secondsOfRun: run.plan.maxTrainSteps * now.secondsPerStep,
      alternatives,
    };
  } finally {
    for (const close of closing.toReversed()) await close();
  }
}

/** What is not estimated on another device than the CPU. */
const limitsOn = (provider: string): string =>
  `On ${provider} the estimate is of products in float32, and memory is compared with that of the machine: what the card has is not known, and weights lie there too.`;

/** A run as it would be, and how its sessions spend memory. */
interface PlannedRun {
  readonly run: AssembledRun;
  readonly attention: AttentionPlan;
  readonly memory: MemoryPlan;
  /** Open at the same time. */
  readonly sessions: number;
  /** Of all its base models. */
  readonly weightBytes: number;
  /** The weights lie in a file of their own. */
  readonly isStored: boolean;
}

/** A checkpoint that is in 8 bits already, say. */
function refusedRun(error: unknown): null {
  if (error instanceof TrainerError) return null;
  throw error;
}

const onDisk = ({ weightBytes, isStored }: PlannedRun) => ({ weightBytes, fileBytes: isStored ? weightBytes : 0 });

/** Where the run finds the weights of a base model: in the checkpoint, or in a file of 8-bit weights that need not be there. */
async function storedBase(
  { eightBitBase, dit, ditHighNoise }: TrainConfig,
  model: BaseModel<WanConfig>,
  option: 'dit' | 'dit_high_noise',
): Promise<StoredBase> {
  if (!eightBitBase) return model;
  const path = option === 'dit' ? dit : (ditHighNoise ?? '');
  const { weights } = model;
  return withFile(option, path, async () => planEightBitBase(eightBitBase, { path, weights, architecture: wan }));
}

const total = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
const bytesOf = ({ weights }: StoredBase): number =>
  total(Array.from(weights.values(), ({ byteLength }) => byteLength));

interface ShapeWork {
  readonly shape: BatchShape;
  readonly symbols: ReadonlyMap<string, number>;
  readonly work: readonly NodeWork[];
}

function workOf(graph: Graph, config: WanConfig, shapes: readonly BatchShape[]): ShapeWork[] {
  return shapes.map((shape) => {
    const symbols = bindSymbols(graph, emptyFeeds(config, shape));
    return { shape, symbols, work: graphWork(graph, symbols) };
  });
}

const flopsOf = (work: readonly NodeWork[]): number => work.reduce((sum, { flops }) => sum + flops, 0);

function largest(shapes: readonly ShapeWork[]): readonly NodeWork[] {
  return shapes.map(({ work }) => work).toSorted((a, b) => flopsOf(b) - flopsOf(a))[0] ?? [];
}

function costOf(
  { run, memory, sessions, processBytes }: PlannedRun & { readonly processBytes: number },
  shapes: readonly ShapeWork[],
  speed: DeviceSpeed,
  gradientAccumulationSteps: number,
): Pick<RunEstimate, 'memory' | 'buckets' | 'secondsPerStep'> {
  const graph = run.graphs.training;
  const model = createMemoryModel(graph, { arena: memory.arena });
  const buckets = shapes.map(({ shape, symbols, work }): BucketEstimate => ({
    ...shape,
    lengths: Object.fromEntries(symbols),
    flops: flopsOf(work),
    activationBytes: model.timeline(symbols).peakLiveBytes,
    seconds: graphSeconds(work, speed),
  }));
  const parameters = countParameters(run);
  const { tensors } = run.optimizer.state();
  const stateBytes = [...tensors.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
  const batches = buckets.reduce((sum, { batchesPerEpoch }) => sum + batchesPerEpoch, 0);
  const seconds = buckets.reduce((sum, bucket) => sum + bucket.batchesPerEpoch * bucket.seconds, 0) / batches;
  return {
    buckets,
    secondsPerStep: gradientAccumulationSteps * seconds + parameters * secondsPerParameter,
    memory: memoryOfGraph({
      graph,
      model,
      runs: shapes.map(({ symbols }) => symbols),
      memory,
      sessions,
      process: processBytes,
      optimizerState: stateBytes,
      parameterBytes: 4 * parameters,
    }),
  };
}

const countParameters = ({ adapter }: AssembledRun): number =>
  loraParameters(adapter).reduce((sum, { data }) => sum + data.length, 0);

/** Pixels that one number of the latents stands for along a side, and frames along time. */
const [pixelsPerLatent, framesPerLatent] = [8, 4];

/** Feeds of the right shapes, without contents. */
function emptyFeeds(config: WanConfig, shape: BatchShape): Record<string, Pick<HostTensor, 'shape'>> {
  const { batchSize } = shape;
  const [frames, height, width] = [
    Math.floor((shape.frames - 1) / framesPerLatent) + 1,
    Math.floor(shape.height / pixelsPerLatent),
    Math.floor(shape.width / pixelsPerLatent),
  ];
  const latents = [batchSize, config.channels, frames, height, width];
  const noisyLatents = {
    dtype: 'float32',
    shape: latents,
    data: new Float32Array(latents.reduce((a, b) => a * b)),
  } as const;
  const text = Array.from({ length: batchSize }, () => ({ shape: [0, config.textWidth], data: new Float32Array() }));
  const feeds = wan.prepare(config, { noisyLatents, timesteps: new Float32Array(batchSize), text });
  return { ...feeds, target: noisyTarget(feeds), loss_weight: { shape: [batchSize, 1, 1] } };
}

const noisyTarget = (feeds: Readonly<Record<string, Pick<HostTensor, 'shape'>>>): Pick<HostTensor, 'shape'> =>
  feeds['tokens'] ?? { shape: [] };
