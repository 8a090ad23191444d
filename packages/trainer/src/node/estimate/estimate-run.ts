import type { TrainConfig } from '@musubi/config';
import type { WanConfig } from '@musubi/models';
import type { Graph, HostTensor } from '@musubi/onnx-graph';
import type { NodeWork } from '@musubi/onnx-graph/analysis';
import type { MemoryPlan, Runtime } from '@musubi/runtime';

import { totalmem } from 'node:os';

import { loraParameters } from '@musubi/lora';
import { wan } from '@musubi/models';
import { createMemoryModel, graphWork, weightSummary } from '@musubi/onnx-graph/analysis';
import { PythonRandom } from '@musubi/random';

import { type AssembledRun, assembleRun } from '../../assemble-run.ts';
import { bindSymbols } from '../../estimate/bind-symbols.ts';
import { type RunMemory, memoryOfGraph } from '../../estimate/memory-of-run.ts';
import { type DeviceSpeed, graphSeconds } from '../../estimate/step-time.ts';
import { resolveTimestepBoundary } from '../../timestep-boundary.ts';
import type { StoredBase } from '../eight-bit-base.ts';
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
import { planEightBitBase } from '../plan-eight-bit-base.ts';
import { loweringFor, memoryFor } from '../run-training.ts';
import { withFile } from '../with-file.ts';
import { anonymousMemory } from './anonymous-memory.ts';
import { type BatchShape, readBatchShapes } from './batch-shapes.ts';
import { probeDevice } from './probe-device.ts';

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
    /** Of the base model, as stored: mapped from its files, not copied. */
    readonly weightBytes: number;
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
}

/** Share of the memory of a machine that a run may take; the operating system and mapped weights need the rest. */
const usableShare = 0.9;

/** AdamW in JavaScript, with clipping and the way of gradients and parameters between threads. */
const secondsPerParameter = 12e-9;

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
    const processBytes = anonymousMemory();
    const timestepBoundary = resolveTimestepBoundary(config, wan);
    const { source, data, shapes } = await readBatchShapes(config, wan, logger);
    const files = createWeightFiles();
    const model = await openBaseModel(config, wan, closing, logger);
    const high = await openHighNoiseModel(config, wan, model, closing);
    const networkWeights = await readNetworkWeights(config);
    const adapters = await openFrozenAdapters(config, wan.lora.modules(model.config), files, closing);
    const frozen = config.eightBitBase ? [] : adapters;
    const base = await withFile('dit', config.dit, async () => plannedBase(config, config.dit, model));
    const highPath = config.ditHighNoise ?? '';
    const highBase =
      high && (await withFile('dit_high_noise', highPath, async () => plannedBase(config, highPath, high)));
    const weights = base.source(files.locate(''));
    const highNoise =
      highBase && timestepBoundary !== null
        ? { weights: highBase.source(files.locate('high_noise.')), timestepBoundary }
        : null;
    const memory = memoryFor(highBase && !config.offloadInactiveDit ? [base, highBase] : [base]);
    const lowering = config.eightBitBase ? { lower: loweringFor(config.eightBitBase, memory) } : {};
    const sessions = high && !config.offloadInactiveDit ? 2 : 1;

    const assemble = (changes: Partial<TrainConfig>) => {
      const seed = config.seed ?? 0;
      const [pythonRandom, changed] = [new PythonRandom(seed), { ...config, ...changes }];
      const parts = { seed, architecture: wan, model, weights, highNoise, data, pythonRandom, networkWeights, frozen };
      return assembleRun({ config: changed, ...parts, ...lowering });
    };
    let speed: DeviceSpeed | undefined;
    const cost = async (run: AssembledRun, given: readonly BatchShape[]) => {
      const facts = { run, config: model.config, shapes: given, memory, sessions, processBytes };
      const work = workOf(run.graphs.training, model.config, given);
      speed ??= await probeDevice(runtime, largest(work), memory);
      return costOf(facts, work, speed, config.gradientAccumulationSteps);
    };

    const machine = { memoryBytes: machineMemory() };
    const fits = (bytes: number) => bytes <= usableShare * machine.memoryBytes;
    const run = assemble({});
    const now = await cost(run, shapes);
    const alternatives: Alternative[] = [];
    const consider = async (change: string, other: AssembledRun, given: readonly BatchShape[]) => {
      const { memory: needed, secondsPerStep } = await cost(other, given);
      alternatives.push({ change, memoryBytes: needed.total, fits: fits(needed.total), secondsPerStep });
    };
    const switched = !config.gradientCheckpointing;
    const other = assemble({ gradientCheckpointing: switched });
    await consider(`gradient_checkpointing = ${switched}`, other, shapes);
    const saving = switched ? other : run;
    const suffix = switched ? ', gradient_checkpointing = true' : '';
    if (shapes.some(({ batchSize }) => batchSize > 1)) {
      await consider(
        `batch_size = 1${suffix}`,
        saving,
        shapes.map((shape) => ({ ...shape, batchSize: 1 })),
      );
    }
    await consider(`half of the resolution${suffix}`, saving, shapes.map(halved));

    return {
      model: {
        name: wan.longName,
        weightBytes: weightSummary(run.graphs.training).bytes * (high ? 2 : 1),
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

/** Its weights would have to be made first to be laid out. */
/** The weights as the run will have them: in the checkpoint, or in 8 bits, in a file that need not be there yet. */
function plannedBase({ eightBitBase }: TrainConfig, path: string, model: BaseModel<WanConfig>): StoredBase {
  if (!eightBitBase) return model;
  return planEightBitBase(eightBitBase, { path, weights: model.weights, architecture: wan });
}

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

interface RunParts {
  readonly run: AssembledRun;
  readonly memory: MemoryPlan;
  readonly sessions: number;
  readonly processBytes: number;
}

function costOf(
  { run, memory, sessions, processBytes }: RunParts,
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

/** About half as many pixels, sides as buckets have them. */
function halved(shape: BatchShape): BatchShape {
  return { ...shape, width: shorter(shape.width), height: shorter(shape.height) };
}

const bucketStep = 16;
const shorter = (side: number) => Math.max(bucketStep, Math.round(side / Math.SQRT2 / bucketStep) * bucketStep);

/** Memory of the machine, or of the container that this process is in. */
function machineMemory(): number {
  const limit = process.constrainedMemory();
  return limit > 0 && limit < totalmem() ? limit : totalmem();
}
