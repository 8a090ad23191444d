import type { TrainConfig } from '@musubi/config';
import type { Adapter } from '@musubi/lora';
import type { Optimizer } from '@musubi/optimizers';

import { existsSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { loraFile, savePrecision } from '@musubi/lora';
import { writeSafetensorsFile } from '@musubi/safetensors/node';

import type { RunFacts } from '../run-metadata.ts';
import type { AdapterFolder } from '../saving.ts';
import type { TrainEvent } from './run-hooks.ts';

import { lastFile } from '../checkpoint-files.ts';
import { TrainerError } from '../errors.ts';
import { adapterMetadata } from '../run-metadata.ts';
import { makeWritableFolder } from './make-folder.ts';

export interface AdapterFolderOptions {
  readonly config: TrainConfig;
  readonly adapter: Adapter;
  readonly optimizer: Pick<Optimizer, 'train' | 'eval'>;
  readonly facts: RunFacts;
  readonly onEvent: (event: TrainEvent) => void;
  readonly logger: (line: string) => void;
}

/** The folder of `--output_dir`. */
export function openAdapterFolder(options: AdapterFolderOptions): AdapterFolder & { readonly lastPath: string | null } {
  const { config, adapter, optimizer, facts, onEvent, logger } = options;
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
      try {
        await rm(path);
        onEvent({ type: 'removed', path });
      } catch (error) {
        // On Windows a program that has it open, ComfyUI for instance, is enough. No reason to end a run of hours.
        const why = error instanceof Error ? error.message : String(error);
        logger(`${path} could not be removed and stays: ${why}. Delete it when no program uses it.`);
      }
    },
  };
}

/**
 * Makes sure that results can be written before hours are spent on them.
 *
 * @returns the folders made for it, the outermost first
 * @throws {TrainerError} `OUTPUT_UNWRITABLE`
 */
export async function makeOutputFolder({ outputDir, outputName }: TrainConfig): Promise<readonly string[]> {
  const made = await makeWritableFolder(outputDir, `output_dir = "${outputDir}"`, 'output_dir');
  const result = join(outputDir, lastFile(outputName));
  if (!statSync(result, { throwIfNoEntry: false })?.isDirectory()) return made;
  throw new TrainerError(
    'OUTPUT_UNWRITABLE',
    `${result}, the file to save, is a folder.`,
    'Choose another output_name.',
    { option: 'output_name', file: outputDir },
  );
}
