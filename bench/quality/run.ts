// Command lines of musubi in a process of its own, one after the other: JSON request in argv, JSON result on stdout.
import { readFile } from 'node:fs/promises';

import { resolveCommand } from '../../packages/config/src/index.ts';
import { runCacheLatents, runCacheTexts, runTraining } from '../../packages/trainer/src/node.ts';
import { endWithParent } from '../scratch.ts';

export interface Request {
  /** The working folder. */
  readonly folder: string;
  /** Options of each training run, behind `--config_file config.toml`. */
  readonly runs: readonly (readonly string[])[];
}

export interface Result {
  /** Of each run, of each step. */
  readonly losses: readonly (readonly number[])[];
}

endWithParent();
const { folder, runs } = JSON.parse(process.argv[2] ?? '{}') as Request;
process.chdir(folder);
const readText = (file: string) => readFile(file, 'utf8');
const data = ['--architecture', 'wan', '--dataset_config', 'dataset.toml'];
await musubi('cache_latents', [...data, '--vae', 'vae.safetensors']);
await musubi('cache_text_encoder_outputs', [...data, '--t5', 'umt5.safetensors', '--tokenizer', 'tokenizer']);
const losses: number[][] = [];
for (const options of runs) losses.push(await musubi('train', ['--config_file', 'config.toml', ...options]));
console.log(JSON.stringify({ losses } satisfies Result));

/** @returns losses of a training run */
async function musubi(command: string, argv: readonly string[]): Promise<number[]> {
  const resolved = await resolveCommand({ command, argv, readText });
  const steps: number[] = [];
  if (resolved.task === 'cache latents') await runCacheLatents(resolved.config);
  if (resolved.task === 'cache text') await runCacheTexts(resolved.config);
  if (resolved.task === 'train') await runTraining(resolved.config, { onStep: ({ loss }) => steps.push(loss) });
  return steps;
}
