import type { TrainConfig } from '@musubi/config';
import type { LoraAdapter } from '@musubi/lora';
import type { InjectedAdapter } from '@musubi/lora/graph';
import type { Architecture, ResolvedWeights } from '@musubi/models';

import { basename, resolve } from 'node:path';

import { readLora } from '@musubi/lora';
import { adapterSource } from '@musubi/lora/graph';
import { resolveWeights } from '@musubi/models';
import { openSafetensorsFile } from '@musubi/safetensors/node';

import { TrainerError } from '../errors.ts';

/** Called in reverse order when the run ends. */
export type Closing = (() => Promise<void>)[];

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

/** The base model of `--dit`: its headers are read, its weights stay in their files. */
export async function openBaseModel<Config>(
  { dit, task, modelConfig }: TrainConfig,
  architecture: Architecture<Config>,
  closing: Closing,
): Promise<ResolvedWeights<Config>> {
  return withFile('dit', dit, async () => {
    const checkpoint = await openSafetensorsFile(dit);
    closing.push(() => checkpoint.close());
    return resolveWeights(checkpoint, architecture, { task, ...(modelConfig ? { modelConfig } : {}) });
  });
}

/** `--network_weights` */
export async function readNetworkWeights({ networkWeights }: TrainConfig): Promise<LoraAdapter | null> {
  if (networkWeights === null) return null;
  return withFile('network_weights', networkWeights, async () => {
    const store = await openSafetensorsFile(networkWeights);
    return readLora(store).finally(() => store.close());
  });
}

/** `--base_weights`: adapters that stay as they are, read where they lie. */
export async function openFrozenAdapters(
  { baseWeights }: TrainConfig,
  files: WeightFiles,
  closing: Closing,
): Promise<readonly InjectedAdapter[]> {
  const adapters: InjectedAdapter[] = [];
  for (const [index, { path, multiplier }] of baseWeights.entries()) {
    const prefix = `base_weights.${index}.`;
    const [adapter, source] = await withFile('base_weights', path, async () => {
      const store = await openSafetensorsFile(path);
      closing.push(() => store.close());
      return [await readLora(store), adapterSource(store, files.locate(prefix))] as const;
    });
    adapters.push({ adapter, multiplier, prefix, source });
  }
  return adapters;
}

/** Says which option gave the file that an error is about. */
async function withFile<T>(option: string, path: string, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (cause) {
    if (!(cause instanceof Error) || !('remedy' in cause) || typeof cause.remedy !== 'string') throw cause;
    const { message, remedy } = cause;
    const found = message.endsWith(remedy) ? message.slice(0, -remedy.length).replace(/ $/, '') : message;
    const told = found.startsWith(`${path}: `) ? found.slice(path.length + 2) : found;
    throw new TrainerError(
      'FILE_UNUSABLE',
      `${option} = "${path}": ${told}`,
      remedy,
      { option, file: resolve(path) },
      { cause },
    );
  }
}
