import type { TrainConfig } from '@musubi/config';
import type { Graph } from '@musubi/onnx-graph';
import type { Provider, Runtime } from '@musubi/runtime';

import { isDeepStrictEqual } from 'node:util';

import { loraParameters } from '@musubi/lora';
import { wan } from '@musubi/models';
import { machineMemory } from '@musubi/runtime/node';

import { type AssembledRun, assembleRun, runGraphs } from '../../assemble-run.ts';
import { type TryProducts, chooseProducts } from '../../choose-products.ts';
import type { DeviceMemory } from '../../estimate/device-memory.ts';
import { fitOf } from '../../estimate/fit.ts';
import type { RunMemory } from '../../estimate/memory-of-run.ts';
import type { DeviceSpeed } from '../../estimate/step-time.ts';
import { TrainerError } from '../../errors.ts';
import { resolveTimestepBoundary } from '../../timestep-boundary.ts';
import { withClosing } from '../../with-closing.ts';
import { type Device, chooseDevice } from '../choose-device.ts';
import { askCard, machineRoom } from '../machine-room.ts';
import { openHighNoiseModel } from '../open-high-noise-model.ts';
import { createWeightFiles, openBaseModel, openFrozenAdapters, readNetworkWeights } from '../open-parts.ts';
import { openRuntime } from '../open-runtime.ts';
import { tryProducts } from '../try-products.ts';
import { type BatchShape, readBatchShapes } from './batch-shapes.ts';
import { type BucketEstimate, costOf, graphOnDevice } from './cost-of-run.ts';
import { otherSettings } from './other-settings.ts';
import { type PlannedRun, planRun } from './planned-run.ts';
import { probeDevice } from './probe-device.ts';
import { watchProgram } from './program-memory.ts';
import { largest, workOf } from './shape-work.ts';

/** What is asked of the machine. */
export interface EstimatedMachine {
  readonly chooseDevice: (choice: TrainConfig['device'], logger: (line: string) => void) => Promise<Device>;
  readonly tryProducts: (device: Device) => TryProducts;
  readonly askCard: (device: Device) => ReturnType<typeof askCard>;
  readonly probeDevice: typeof probeDevice;
  readonly memoryBytes: () => number;
}

const thisMachine: EstimatedMachine = {
  chooseDevice: (choice, logger) => chooseDevice(choice, logger),
  tryProducts,
  askCard: (device) => askCard(device),
  probeDevice,
  memoryBytes: () => machineMemory(),
};

export interface EstimateHooks {
  /** Gets lines for the user. */
  readonly logger?: (line: string) => void;
  /** The runtime to measure; by default one on onnxruntime-node is started, and closed at the end. */
  readonly runtime?: Runtime;
  /** What else is asked of the machine; by default of this one. */
  readonly machine?: Partial<EstimatedMachine>;
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
  readonly machine: { readonly memoryBytes: number; readonly fits: boolean };
  /** Of the machine. */
  readonly memory: RunMemory;
  /** The graphics device that computes; null where the CPU does. */
  readonly device: DeviceEstimate | null;
  /** Both into the machine and onto its graphics device; null where that is not known. */
  readonly fits: boolean | null;
  readonly buckets: readonly BucketEstimate[];
  /** Mean over an epoch. */
  readonly secondsPerStep: number;
  readonly steps: number;
  readonly secondsOfRun: number;
  /** The same run with other settings. */
  readonly alternatives: readonly Alternative[];
}

/** What a run will need of a graphics device, beside what it needs of the machine. */
export interface DeviceEstimate {
  readonly provider: Provider;
  /** Null where it does not say. */
  readonly name: string | null;
  /** All that it has; null where it does not say. */
  readonly memoryBytes: number | null;
  /** What no program has taken now; null where it does not say. */
  readonly freeBytes: number | null;
  readonly neededBytes: number;
  /** What that is for. */
  readonly memory: DeviceMemory;
  /** Null where its memory is not known. */
  readonly fits: boolean | null;
}

export interface Alternative {
  /** As a user would set it, e.g. `gradient_checkpointing = true`. */
  readonly change: string;
  /** Of the machine. */
  readonly memoryBytes: number;
  /** Of the graphics device; null where the CPU computes. */
  readonly deviceBytes: number | null;
  /** As in {@link RunEstimate}. */
  readonly fits: boolean | null;
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
  const ask = { ...thisMachine, ...hooks.machine };
  return withClosing(async (closing) => {
    const runtime = await openRuntime(hooks.runtime, closing);
    const program = watchProgram();
    const timestepBoundary = resolveTimestepBoundary(config, wan);
    const { source, data, shapes } = await readBatchShapes(config, wan, logger);
    const device = await ask.chooseDevice(config.device, logger);
    const products = await chooseProducts(config.mixedPrecision, device.provider, ask.tryProducts(device), logger);
    const card = await ask.askCard(device);
    if (device.provider !== 'cpu') logger(notInTime);
    const files = createWeightFiles();
    const model = await openBaseModel(config, wan, closing, logger);
    const high = await openHighNoiseModel(config, wan, model, closing);
    const networkWeights = await readNetworkWeights(config);
    const frozen = await openFrozenAdapters(config, wan.lora.modules(model.config), files, closing);

    const room = machineRoom(device, card);
    const given = { device, products, room, data, files, model, high, timestepBoundary, networkWeights, frozen };
    const planned = await planRun(config, given);
    const run = assembleRun(planned.parts);
    const facts = {
      device,
      processBytes: program.bytes(),
      gradientAccumulationSteps: config.gradientAccumulationSteps,
      parameters: countParameters(run),
      optimizerState: stateBytes(run),
    };
    const has = { machineBytes: ask.memoryBytes(), deviceBytes: card?.totalBytes ?? null };
    let speed: DeviceSpeed | undefined;
    const cost = async (wanted: PlannedRun, training: Graph, batches: readonly BatchShape[]) => {
      const graph = graphOnDevice(training, wanted, device);
      const work = workOf(graph, model.config, batches);
      speed ??= await ask.probeDevice(runtime, largest(work), wanted.memory, device, logger);
      const { deviceMemory, ...needed } = costOf(graph, wanted, work, speed, facts);
      return { ...needed, deviceMemory, ...fitOf(needed.memory, deviceMemory, has) };
    };

    const { deviceMemory, deviceBytes, onMachine, onDevice, ...now } = await cost(planned, run.graphs.training, shapes);
    const alternatives: Alternative[] = [];
    for (const { change, changes, reshape, mustSave = false } of otherSettings(config, shapes, planned.attention)) {
      const other = await planRun({ ...config, ...changes }, given).catch(refusedRun);
      if (!other) continue;
      const isSame = isDeepStrictEqual({ ...config, ...changes }, config);
      const { training } = isSame ? run.graphs : runGraphs(other.parts, run.adapter);
      const { memory, secondsPerStep, ...needed } = await cost(other, training, shapes.map(reshape));
      const found = { change, memoryBytes: memory.total, deviceBytes: needed.deviceBytes, fits: needed.fits };
      const before = [{ memoryBytes: now.memory.total, deviceBytes }, ...alternatives];
      if (mustSave && scarce(found) >= Math.min(...before.map(scarce))) continue;
      alternatives.push({ ...found, secondsPerStep, ...onDisk(other) });
    }
    return {
      model: {
        name: wan.longName,
        ...onDisk(planned),
        adapterParameters: facts.parameters,
      },
      source,
      machine: { memoryBytes: has.machineBytes, fits: onMachine },
      ...now,
      device: deviceMemory && {
        provider: device.provider,
        name: card?.name ?? null,
        memoryBytes: has.deviceBytes,
        freeBytes: card?.freeBytes ?? null,
        neededBytes: deviceBytes ?? 0,
        memory: deviceMemory,
        fits: onDevice,
      },
      steps: run.plan.maxTrainSteps,
      secondsOfRun: run.plan.maxTrainSteps * now.secondsPerStep,
      alternatives,
    };
  });
}

const countParameters = ({ adapter }: Pick<AssembledRun, 'adapter'>): number =>
  loraParameters(adapter).reduce((sum, { data }) => sum + data.length, 0);

const stateBytes = ({ optimizer }: Pick<AssembledRun, 'optimizer'>): number =>
  [...optimizer.state().tensors.values()].reduce((sum, { data }) => sum + data.byteLength, 0);

/** On a device. */
const notInTime =
  'The time of a step leaves out what crosses to the device and back: the adapter, its gradients and the batch.';

/** What there is least of: the memory of the graphics device, where one computes. */
const scarce = ({ memoryBytes, deviceBytes }: Pick<Alternative, 'memoryBytes' | 'deviceBytes'>): number =>
  deviceBytes ?? memoryBytes;

/** A checkpoint that is in 8 bits already, say. */
function refusedRun(error: unknown): null {
  if (error instanceof TrainerError) return null;
  throw error;
}

const onDisk = ({ weightBytes, isStored }: PlannedRun) => ({ weightBytes, fileBytes: isStored ? weightBytes : 0 });
