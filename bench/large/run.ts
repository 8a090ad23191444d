// One training run, or the estimate of one, in a process of its own: JSON request in argv, JSON result on stdout.
import { readFile } from 'node:fs/promises';

import type { PeakMemory } from '../peak-memory.ts';

import { resolveOptions } from '../../packages/config/src/index.ts';
import { estimateRun, runTraining } from '../../packages/trainer/src/node.ts';
import { watchMemory } from '../peak-memory.ts';
import { endWithParent } from '../scratch.ts';

export interface Request {
  readonly kind: 'train' | 'estimate';
  /** The working folder, with what the options name. */
  readonly folder: string;
  /** As behind `musubi train`. */
  readonly options: readonly string[];
}

export interface TrainResult extends PeakMemory {
  /** From the beginning until the graph is loaded, the file of 8-bit weights included. */
  readonly startSeconds: number;
  /** Of each step. */
  readonly seconds: readonly number[];
  readonly losses: readonly number[];
}

export interface EstimateResult {
  readonly anonymousBytes: number;
  readonly stepSeconds: number;
}

endWithParent();
const { kind, folder, options } = JSON.parse(process.argv[2] ?? '{}') as Request;
process.chdir(folder);
const readText = (file: string) => readFile(file, 'utf8');
const { config } = await resolveOptions({ command: 'train', argv: options, readText });
const logger = (line: string) => console.error(line);
console.log(JSON.stringify(kind === 'train' ? await train() : await estimate()));

async function train(): Promise<TrainResult> {
  const memory = watchMemory();
  const times = [performance.now()];
  const losses: number[] = [];
  await runTraining(config, {
    logger,
    onEvent: ({ type }) => type === 'start' && times.push(performance.now()),
    onStep: ({ loss }) => {
      times.push(performance.now());
      losses.push(loss);
    },
  });
  const [startSeconds = NaN, ...seconds] = times.slice(1).map((at, i) => (at - times[i]!) / 1000);
  return { startSeconds, seconds, losses, ...memory.stop() };
}

async function estimate(): Promise<EstimateResult> {
  const { memory, secondsPerStep } = await estimateRun(config, { logger });
  return { anonymousBytes: memory.total, stepSeconds: secondsPerStep };
}
