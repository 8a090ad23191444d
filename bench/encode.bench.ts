import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Request, Result } from './encode/measure.ts';
import type { Bench, Figure } from './harness.ts';

import { umt5, wanVae } from '../packages/models/src/index.ts';
import { writeRandomCheckpoint } from './encode/checkpoint.ts';
import { runScript } from './run-script.ts';

const threads = 2;

/** `MUSUBI_BENCH_SMALL=1` tries the bench in seconds: two layers, a thin autoencoder, a small picture, no bars. */
const isSmall = Boolean(process.env['MUSUBI_BENCH_SMALL']);
const captionModel = isSmall ? { ...umt5.published, vocabulary: 1000, layers: 2 } : umt5.published;
const pictureModel = isSmall
  ? { ...wanVae.published, levels: wanVae.published.levels.map((level) => ({ ...level, width: level.width / 8 })) }
  : wanVae.published;
const picture = isSmall ? [64, 96] : [480, 832];
const captions = [32, 512];

export const bench: Bench = {
  title: `encoding a caption (UMT5-XXL, bfloat16) and a picture (Wan 2.1 VAE, float32), random weights, ${threads} threads${isSmall ? ', SMALL' : ''}`,
  async run(log) {
    const folder = await mkdtemp(join(process.env['MUSUBI_BENCH_FOLDER'] ?? tmpdir(), 'musubi-bench-'));
    try {
      const checkpoint = join(folder, 'checkpoint.safetensors');
      const figures: Figure[] = [];
      log('writing a text encoder …');
      await writeRandomCheckpoint(checkpoint, umt5.parameters(captionModel), 'BF16');
      for (const tokens of captions) {
        log(`a caption of ${tokens} tokens …`);
        const result = await inOwnProcess({ kind: 'caption', checkpoint, threads, size: [tokens] });
        figures.push(...figuresOf(`caption_${tokens}`, result, 2000));
      }
      log('writing an autoencoder …');
      await writeRandomCheckpoint(checkpoint, wanVae.parameters(pictureModel), 'F32');
      log(`a picture of ${picture.toReversed().join(' x ')} …`);
      const result = await inOwnProcess({ kind: 'picture', checkpoint, threads, size: picture });
      figures.push(...figuresOf('picture', result, 1200));
      return figures;
    } finally {
      await rm(folder, { recursive: true });
    }
  },
};

function figuresOf(name: string, { firstSeconds, againSeconds, peakBytes }: Result, atMost: number): Figure[] {
  return [
    { name: `encode_${name}_memory_mb`, value: peakBytes / 1e6, unit: 'MB', ...(isSmall ? {} : { atMost }) },
    { name: `encode_${name}_first_s`, value: firstSeconds, unit: 's' },
    { name: `encode_${name}_s`, value: againSeconds, unit: 's' },
  ];
}

const inOwnProcess = (request: Request): Promise<Result> =>
  runScript<Result>(new URL('encode/measure.ts', import.meta.url), request);
