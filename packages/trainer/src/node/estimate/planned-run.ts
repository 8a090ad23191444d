import type { TrainConfig } from '@musubi/config';
import type { TrainingData } from '@musubi/dataset';
import type { Adapter } from '@musubi/lora';
import type { WanConfig } from '@musubi/models';
import type { AttentionPlan, ProductDtype } from '@musubi/onnx-graph';
import type { MemoryPlan } from '@musubi/runtime';

import { wan } from '@musubi/models';
import { PythonRandom } from '@musubi/random';

import type { AttentionRoom } from '../../plan-attention.ts';

import type { RunParts } from '../../assemble-run.ts';
import { chooseAttention } from '../../choose-attention.ts';
import type { StoredBase } from '../../eight-bit-weights.ts';
import { planEightBitBase } from '../../plan-eight-bit-base.ts';
import { type Device, foldingWeights, graphFor } from '../choose-device.ts';
import { type BaseGiven, type BaseOption, eightBitRequest } from '../eight-bit-request.ts';
import type { BaseModel, FrozenAdapter, WeightFiles } from '../open-parts.ts';
import { loweringFor, memoryFor } from '../run-training.ts';
import { withFile } from '../with-file.ts';

/** What a run is planned from, whatever its settings. */
export interface PlanParts {
  readonly device: Device;
  readonly products: ProductDtype;
  readonly room: AttentionRoom;
  readonly data: TrainingData;
  readonly files: WeightFiles;
  readonly model: BaseModel<WanConfig>;
  readonly high: BaseModel<WanConfig> | null;
  readonly timestepBoundary: number | null;
  readonly networkWeights: Adapter | null;
  readonly frozen: readonly FrozenAdapter[];
}

/** What a run would be made of, and how its sessions spend memory. */
export interface PlannedRun {
  readonly parts: RunParts<WanConfig>;
  readonly attention: AttentionPlan;
  readonly memory: MemoryPlan;
  /** Open at the same time. */
  readonly sessions: number;
  /** Of all its base models. */
  readonly weightBytes: number;
  /** The weights lie in a file of their own. */
  readonly isStored: boolean;
}

/**
 * Does what `runTraining` does until it makes its graphs; weights in 8 bits are planned only.
 *
 * @throws as `runTraining`
 */
export async function planRun(config: TrainConfig, given: PlanParts): Promise<PlannedRun> {
  const { device, products, room, data, files, model, high, timestepBoundary, networkWeights, frozen } = given;
  const { eightBitBase, graphOptimization, offloadInactiveDit } = config;
  const seed = config.seed ?? 0;
  const stored = (of: BaseModel<WanConfig>, option: BaseOption, merged: readonly FrozenAdapter[]) =>
    storedBase(config, of, option, { architecture: wan, device, merged });
  const base = await stored(model, 'dit', frozen);
  const highBase = high && (await stored(high, 'dit_high_noise', []));
  const bases = highBase ? [base, highBase] : [base];
  const open = offloadInactiveDit ? [base] : bases;
  const attention = chooseAttention(config, wan, model.config, data, room, products).plan;
  const graphOptions = graphFor(device, eightBitBase);
  const memory = foldingWeights(memoryFor(open), graphOptions);
  const parts: RunParts<WanConfig> = {
    config,
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
    products,
    ...graphOptions,
    ...(eightBitBase ? { lower: loweringFor(eightBitBase, memory, device.provider) } : {}),
  };
  return {
    parts,
    attention,
    memory,
    // Of graphs with fixed shapes a device has one at a time, see `mostSessions`.
    sessions: graphOptimization.fixedShapes && device.provider !== 'cpu' ? 1 : open.length,
    weightBytes: bases.reduce((sum, { weights }) => sum + bytesOf(weights), 0),
    isStored: eightBitBase !== null,
  };
}

/** Where the run finds the weights of a base model: in the checkpoint, or in a file of 8-bit weights that need not be there. */
async function storedBase(
  config: TrainConfig,
  model: BaseModel<WanConfig>,
  option: BaseOption,
  given: BaseGiven,
): Promise<StoredBase> {
  const { eightBitBase } = config;
  if (!eightBitBase) return model;
  const request = eightBitRequest(config, option, model, given);
  return withFile(option, request.path, async () => planEightBitBase(eightBitBase, request));
}

function bytesOf(weights: StoredBase['weights']): number {
  let bytes = 0;
  for (const { byteLength } of weights.values()) bytes += byteLength;
  return bytes;
}
