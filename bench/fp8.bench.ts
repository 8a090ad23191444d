import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Bench, Figure } from './harness.ts';

import { inOwnProcess } from './eight-bit/request.ts';
import { writeRandomCheckpoint } from './encode/checkpoint.ts';
import { median } from './harness.ts';
import { writeCheckpoint } from './step/model.ts';

const threads = 2;

/** `MUSUBI_BENCH_SMALL=1` tries the bench in a minute, without bars. */
const isSmall = Boolean(process.env['MUSUBI_BENCH_SMALL']);
const sizes = isSmall ? ([1024, 256] as const) : ([12288, 3072] as const);
const layers = isSmall ? 6 : 60;
const rounds = isSmall ? 1 : 3;
const bar = <T extends object>(limit: T): T | object => (isSmall ? {} : limit);

export const bench: Bench = {
  title: `8-bit base weights: ${layers} Linear layers of ${sizes.join(' x ')}, forward and transposed, and a Wan-class training step, ${threads} threads${isSmall ? ', SMALL' : ''}`,
  async run(log) {
    const folder = await mkdtemp(join(process.env['MUSUBI_BENCH_FOLDER'] ?? tmpdir(), 'musubi-bench-'));
    try {
      return [...(await measureLayers(join(folder, 'layers.safetensors'), log)), ...(await measureSteps(folder, log))];
    } finally {
      await rm(folder, { recursive: true });
    }
  },
};

async function measureLayers(checkpoint: string, log: (line: string) => void): Promise<Figure[]> {
  log('writing the layers in bfloat16 …');
  const parameters = Array.from({ length: layers }, (_, i) => ({ name: `blocks.${i}.weight`, shape: sizes }));
  await writeRandomCheckpoint(checkpoint, parameters, 'BF16');
  const figures: Figure[] = [];
  for (const [name, base] of [
    ['bf16', 'checkpoint'],
    ['fp8', 'scaled'],
    ['int8', 'int8'],
  ] as const) {
    log(`${name} …`);
    if (base !== 'checkpoint') {
      const { seconds } = await inOwnProcess({ kind: 'make', checkpoint, threads, method: base, model: 'layers' });
      figures.push({ name: `${name}_layers_make_s`, value: seconds[0]!, unit: 's' });
    }
    const measured = await inOwnProcess({
      kind: 'layers',
      checkpoint,
      threads,
      base,
      layers,
      sizes,
      tokens: 16,
      rounds,
    });
    const limit = base === 'checkpoint' ? {} : bar({ atMost: 500 });
    figures.push(
      { name: `${name}_layers_memory_mb`, value: measured.anonymousBytes / 1e6, unit: 'MB', ...limit },
      { name: `${name}_layers_s`, value: median(measured.seconds), unit: 's' },
    );
  }
  return figures;
}

async function measureSteps(folder: string, log: (line: string) => void): Promise<Figure[]> {
  const checkpoint = join(folder, 'dit.safetensors');
  await writeCheckpoint(checkpoint);
  const figures: Figure[] = [];
  for (const tokens of isSmall ? [64] : [512, 2048]) {
    log(`a step with ${tokens} tokens …`);
    const { ratios } = await inOwnProcess({ kind: 'ratios', checkpoint, threads, tokens, rounds });
    for (const [name, value] of Object.entries(ratios ?? {})) {
      figures.push({ name: `${name}_to_float32_${tokens}`, value, unit: 'x', ...bar({ atMost: 1.3 }) });
    }
  }
  return figures;
}
