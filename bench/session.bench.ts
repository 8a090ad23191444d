import { join } from 'node:path';

import type { Bench, Figure } from './harness.ts';
import type { Option, Request, Result } from './session/measure.ts';
import type { SubjectRequest } from './session/subject.ts';

import { wanVae } from '../packages/models/src/index.ts';
import { writeRandomCheckpoint } from './encode/checkpoint.ts';
import { runScript } from './run-script.ts';
import { inScratchFolder } from './scratch.ts';
import { modelConfig, writeCheckpoint } from './step/model.ts';

const threads = 2;

/** `MUSUBI_BENCH_SMALL=1` tries the bench with short sequences. */
const isSmall = Boolean(process.env['MUSUBI_BENCH_SMALL']);
const rounds = isSmall ? 1 : 3;
const tokens = isSmall ? [64, 128] : [512, 1024];
const pieces = isSmall ? 64 : 512;

/** Weights of 574 MiB: above the limit from which a model counts as large. */
const largeConfig = { ...modelConfig, dim: 1280, ffn_dim: 8192, num_heads: 10, num_layers: 4 };

interface Case {
  readonly name: string;
  readonly subject: SubjectRequest;
  /** The options whose other setting may matter here. */
  readonly options: readonly Option[];
}

export const bench: Bench = {
  title: `each session option the other way than planMemory chooses: time and memory over those of the plan, ${threads} threads, lengths ${tokens.join(' and ')}${isSmall ? ', SMALL' : ''}`,
  run: (log) =>
    inScratchFolder(async (folder) => {
      const figures: Figure[] = [];
      for (const { name, subject, options } of await writeCases(folder)) {
        log(`${name} …`);
        const alone = async (setting: Option | 'plan') =>
          (await measure({ ...subject, settings: [setting], rounds: 1 })).bytes;
        const planned = await alone('plan');
        figures.push({ name: `${name}_plan_mib`, value: planned / 2 ** 20, unit: 'MiB' });
        for (const option of options) {
          log(`${name}, ${option} …`);
          // Where memory lies may make either session of a process the slower one, so each is the first one once.
          const [first, second] = [
            await measure({ ...subject, settings: ['plan', option], rounds }),
            await measure({ ...subject, settings: [option, 'plan'], rounds }),
          ];
          const ratio = Math.sqrt(first.ratio / second.ratio);
          const prefix = `${name}_${snakeCase(option)}`;
          figures.push(
            { name: `${prefix}_time_ratio`, value: ratio, unit: 'x plan' },
            { name: `${prefix}_memory_ratio`, value: (await alone(option)) / planned, unit: 'x plan' },
          );
        }
      }
      return figures;
    }),
};

const measure = (request: Request): Promise<Result> =>
  runScript<Result>(new URL('session/measure.ts', import.meta.url), request);

const snakeCase = (option: string): string => option.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

async function writeCases(folder: string): Promise<Case[]> {
  const [float32, bf16, large, vae] = ['float32', 'bf16', 'large', 'vae'].map((name) =>
    join(folder, `${name}.safetensors`),
  ) as [string, string, string, string];
  await writeCheckpoint(float32, modelConfig);
  await writeCheckpoint(bf16, modelConfig, 'BF16');
  await writeCheckpoint(large, largeConfig);
  await writeRandomCheckpoint(vae, wanVae.parameters(wanVae.published), 'F32');
  const training = { kind: 'training', threads, sizes: modelConfig, base: 'checkpoint', tokens } as const;
  return [
    {
      name: 'float32',
      subject: { ...training, checkpoint: float32 },
      options: ['arena', 'prepackWeights', 'memoryPattern', 'optimization'],
    },
    {
      name: 'large',
      subject: { ...training, checkpoint: large, sizes: largeConfig },
      options: ['arena', 'prepackWeights', 'memoryPattern'],
    },
    {
      name: 'bf16',
      subject: { ...training, checkpoint: bf16 },
      options: ['arena', 'prepackWeights', 'foldConstants'],
    },
    {
      name: 'fp8',
      subject: { ...training, checkpoint: float32, base: 'scaled' },
      options: ['arena', 'prepackWeights', 'foldConstants'],
    },
    {
      name: 'int8',
      subject: { ...training, checkpoint: float32, base: 'int8' },
      options: ['arena', 'prepackWeights', 'foldConstants'],
    },
    {
      name: 'pieces',
      subject: { ...training, checkpoint: float32, pieces },
      options: ['arena', 'memoryPattern'],
    },
    {
      name: 'picture',
      subject: { kind: 'picture', checkpoint: vae, threads, width: isSmall ? 64 : 480, height: isSmall ? 64 : 272 },
      options: ['arena', 'prepackWeights', 'memoryPattern'],
    },
  ];
}
