// The small Wan training run of golden/runs/wan_t2v, as a user of musubi-tuner would have it on disk.
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './workspace.mjs';

/** Inputs of the run, and beside them what the original program made of them. */
export const runFolder = join(root, 'golden', 'runs', 'wan_t2v');

/**
 * The command line below `musubi`. model.json beside the checkpoint has what shapes do not tell of this small model; a
 * published one needs none.
 */
export const trainArguments = ['train', '--config_file', 'config.toml'];

/** Copies the inputs, and nothing that the original made, into `folder`; removes the output of a run before. */
export function copyRunInputs(folder) {
  mkdirSync(folder, { recursive: true });
  rmSync(join(folder, 'output'), { recursive: true, force: true });
  for (const name of ['cache', 'config.toml', 'dataset.toml', 'dit.safetensors', 'model.json']) {
    cpSync(join(runFolder, name), join(folder, name), { recursive: true });
  }
}
