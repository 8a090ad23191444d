import type { TrainConfig } from '@musubi/config';
import type { LoraAdapter } from '@musubi/lora';
import type { Optimizer } from '@musubi/optimizers';

import { existsSync } from 'node:fs';
import { access, constants, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { loraFile, savePrecision } from '@musubi/lora';
import { writeSafetensorsFile } from '@musubi/safetensors/node';

import type { RunFacts } from '../run-metadata.ts';
import type { AdapterFolder } from '../saving.ts';
import type { TrainEvent } from './run-hooks.ts';

import { TrainerError } from '../errors.ts';
import { adapterMetadata } from '../run-metadata.ts';

export interface AdapterFolderOptions {
  readonly config: TrainConfig;
  readonly adapter: LoraAdapter;
  readonly optimizer: Pick<Optimizer, 'train' | 'eval'>;
  readonly facts: RunFacts;
  readonly onEvent: (event: TrainEvent) => void;
}

/** The folder of `--output_dir`. */
export function openAdapterFolder(options: AdapterFolderOptions): AdapterFolder & { readonly lastPath: string | null } {
  const { config, adapter, optimizer, facts, onEvent } = options;
  let lastPath: string | null = null;
  return {
    get lastPath() {
      return lastPath;
    },
    async write(file, at) {
      const path = join(config.outputDir, file);
      const metadata = adapterMetadata(config, facts, { ...at, savedAt: Date.now() / 1000 });
      optimizer.eval();
      try {
        const dtype = savePrecision(config.savePrecision);
        const { tensors, metadata: all } = await loraFile(adapter, { dtype, metadata });
        await writeSafetensorsFile(path, tensors, { metadata: all });
      } finally {
        optimizer.train();
      }
      lastPath = path;
      onEvent({ type: 'saved', path, step: at.step });
    },
    async remove(file) {
      const path = join(config.outputDir, file);
      if (!existsSync(path)) return;
      await rm(path);
      onEvent({ type: 'removed', path });
    },
  };
}

/** @throws {TrainerError} `OUTPUT_UNWRITABLE` */
export async function makeOutputFolder(path: string): Promise<void> {
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
