import type { TrainConfig } from '@musubi/config';
import type { Adapter } from '@musubi/lora';
import type { InjectedAdapter } from '@musubi/lora/graph';
import type { Architecture, LoraModule, ResolvedWeights } from '@musubi/models';
import type { TensorStore } from '@musubi/safetensors';

import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { LoraError, loraName, readAdapter } from '@musubi/lora';
import { adapterSource } from '@musubi/lora/graph';
import { resolveWeights } from '@musubi/models';
import { openCheckpointFile } from '@musubi/safetensors/node';

import type { Closing } from '../with-closing.ts';
import { withFile } from './with-file.ts';

export type { Closing };

/** Files that the graphs' weights lie in, by their location in the graphs. */
export interface WeightFiles {
  readonly paths: Readonly<Record<string, string>>;
  /** Gives a file of a checkpoint its location. */
  readonly locate: (prefix: string) => (file: string) => string;
}

export function createWeightFiles(): WeightFiles {
  const paths: Record<string, string> = {};
  return {
    paths,
    locate: (prefix) => (file) => {
      const location = prefix + basename(file);
      paths[location] = file;
      return location;
    },
  };
}

/** A base model with what was stated of it beside its shapes. */
export interface BaseModel<Config> extends ResolvedWeights<Config> {
  readonly stated: Readonly<Record<string, unknown>> | undefined;
  readonly checkpoint: TensorStore;
}

/**
 * The base model of `--dit`: its headers are read, its weights stay in their files. What shapes cannot tell comes from
 * `--model_config`, or from a `model.json` beside the checkpoint.
 */
export async function openBaseModel<Config>(
  { dit, task, modelConfig }: TrainConfig,
  architecture: Architecture<Config>,
  closing: Closing,
  logger: (line: string) => void,
): Promise<BaseModel<Config>> {
  return withFile('dit', dit, async () => {
    const checkpoint = await openCheckpointFile(dit);
    closing.push(() => checkpoint.close());
    const stated = modelConfig ?? (await readModelJson(dit, logger)) ?? undefined;
    return { ...resolveWeights(checkpoint, architecture, { task, modelConfig: stated }), stated, checkpoint };
  });
}

/** The object in `model.json` beside a checkpoint, or null where there is none. */
async function readModelJson(dit: string, logger: (line: string) => void): Promise<Record<string, unknown> | null> {
  const path = join(dirname(dit), 'model.json');
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) return null;
  try {
    const content: unknown = JSON.parse(text);
    if (typeof content === 'object' && content !== null && !Array.isArray(content)) {
      logger(`Sizes that shapes do not tell are taken from ${path}; --model_config replaces it.`);
      return content as Record<string, unknown>;
    }
  } catch {
    // said below
  }
  logger(`${path} is no JSON object and is not used.`);
  return null;
}

/** `--network_weights` */
export async function readNetworkWeights(
  { networkWeights }: TrainConfig,
  openFile = openCheckpointFile,
): Promise<Adapter | null> {
  if (networkWeights === null) return null;
  return withFile('network_weights', networkWeights, async () => {
    const store = await openFile(networkWeights);
    return readAdapter(store).finally(() => store.close());
  });
}

/** An adapter that is added in the graph, or merged into weights before they are quantized. */
export interface FrozenAdapter extends InjectedAdapter {
  readonly store: TensorStore;
}

/**
 * `--base_weights`: adapters that stay as they are, read where they lie.
 *
 * @param layers of the model that they are for
 */
export async function openFrozenAdapters(
  { baseWeights }: TrainConfig,
  layers: readonly LoraModule[],
  files: WeightFiles,
  closing: Closing,
): Promise<readonly FrozenAdapter[]> {
  const adapters: FrozenAdapter[] = [];
  for (const [index, { path, multiplier }] of baseWeights.entries()) {
    const prefix = `base_weights.${index}.`;
    const { adapter, store } = await openFrozenAdapter(path, layers, closing);
    adapters.push({ adapter, multiplier, prefix, source: adapterSource(store, files.locate(prefix)), store });
  }
  return adapters;
}

/** One file of `--base_weights`; `layers` null where the model is not known. */
export async function openFrozenAdapter(
  path: string,
  layers: readonly LoraModule[] | null,
  closing: Closing,
  openFile = openCheckpointFile,
): Promise<{ adapter: Adapter; store: TensorStore }> {
  return withFile('base_weights', path, async () => {
    const store = await openFile(path);
    closing.push(() => store.close());
    const adapter = await readAdapter(store);
    if (layers !== null) assertFits(adapter, layers);
    return { adapter, store };
  });
}

function assertFits({ modules }: Adapter, layers: readonly LoraModule[]): void {
  const sizes = new Map(layers.map(({ path, ...size }) => [loraName(path), size]));
  for (const { name, inFeatures, outFeatures } of modules) {
    const layer = sizes.get(name);
    const remedy = 'Give an adapter of the same model.';
    if (!layer)
      throw new LoraError('TARGET_NOT_FOUND', `the model has no layer for ${name}.`, remedy, { module: name });
    if (layer.inFeatures === inFeatures && layer.outFeatures === outFeatures) continue;
    const [found, expected] = [`${inFeatures} → ${outFeatures}`, `${layer.inFeatures} → ${layer.outFeatures}`];
    const facts = { module: name, found, expected };
    throw new LoraError('SHAPE_MISMATCH', `${name} adapts a layer ${found}, the model has ${expected}.`, remedy, facts);
  }
}
