import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Bench, Figure } from './harness.ts';

import { wan } from '../packages/models/src/index.ts';
import { inOwnProcess } from './eight-bit/request.ts';
import { writeRandomCheckpoint } from './encode/checkpoint.ts';

/** `MUSUBI_BENCH_SMALL=1` tries the bench in a minute: thin models of two blocks, without bars. */
const isSmall = Boolean(process.env['MUSUBI_BENCH_SMALL']);
const threads = availableParallelism();

/** Tokens are quarters of the latents' points, which are eighths of the picture's. */
const models = [
  { name: 'wan_1_3b', task: 't2v-1.3B', bases: ['scaled', 'int8'], picture: [832, 480], steps: 5, gib: 10 },
  { name: 'wan_14b', task: 't2v-14B', bases: ['int8'], picture: [256, 256], steps: 1, gib: 24 },
] as const;

export const bench: Bench = {
  title: `LoRA steps with 8-bit base weights of Wan 2.1's published shapes, random weights, ${threads} threads${isSmall ? ', SMALL' : ''}`,
  async run(log) {
    const figures: Figure[] = [];
    const only = process.env['MUSUBI_BENCH_LARGE'];
    for (const model of models) if (!only || only === model.name) figures.push(...(await measureModel(model, log)));
    return figures;
  },
};

async function measureModel(model: (typeof models)[number], log: (line: string) => void): Promise<Figure[]> {
  const folder = await mkdtemp(join(process.env['MUSUBI_BENCH_FOLDER'] ?? tmpdir(), 'musubi-bench-'));
  try {
    const { task, picture, steps } = model;
    const checkpoint = join(folder, 'dit.safetensors');
    const { config, sizes } = sizesOf(task);
    log(`writing ${model.name} in bfloat16 …`);
    await writeRandomCheckpoint(checkpoint, wan.parameters(config), 'BF16');
    const tokens = (isSmall ? 64 : picture[0] * picture[1]) / (isSmall ? 1 : 16 * 16);
    const figures: Figure[] = [];
    for (const base of model.bases) {
      const name = `${model.name}_${base === 'scaled' ? 'fp8' : base}`;
      log(`${name}: making the file …`);
      const made = await inOwnProcess({ kind: 'make', checkpoint, threads, method: base, model: 'wan', sizes });
      log(`${name}: ${steps} steps of ${picture.join(' x ')} …`);
      const { seconds, anonymousBytes, residentBytes } = await inOwnProcess({
        kind: 'steps',
        checkpoint,
        threads,
        base,
        task,
        sizes,
        tokens,
        steps,
      });
      figures.push(
        { name: `${name}_make_s`, value: made.seconds[0]!, unit: 's' },
        { name: `${name}_make_memory_gib`, value: made.residentBytes / 2 ** 30, unit: 'GiB' },
        { name: `${name}_step_s`, value: seconds.at(-1)!, unit: 's' },
        { name: `${name}_anonymous_gib`, value: anonymousBytes / 2 ** 30, unit: 'GiB' },
        {
          name: `${name}_resident_gib`,
          value: residentBytes / 2 ** 30,
          unit: 'GiB',
          ...(isSmall ? {} : { atMost: model.gib }),
        },
      );
    }
    return figures;
  } finally {
    await rm(folder, { recursive: true });
  }
}

function sizesOf(name: 't2v-1.3B' | 't2v-14B') {
  const task = wan.tasks[name]!;
  if (!('config' in task)) throw new Error(`${name} has no configuration`);
  const sizes = isSmall ? { dim: 256, ffn_dim: 512, num_heads: 2, num_layers: 2, text_dim: 128 } : undefined;
  const config = isSmall
    ? { ...task.config, width: 256, ffnWidth: 512, heads: 2, layers: 2, textWidth: 128 }
    : task.config;
  return { config, sizes };
}
