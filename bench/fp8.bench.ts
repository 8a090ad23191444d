import { join } from 'node:path';

import type { Request } from './eight-bit/request.ts';
import type { Bench, Figure } from './harness.ts';

import { measureOnce } from './eight-bit/request.ts';
import { writeRandomCheckpoint } from './encode/checkpoint.ts';
import { median } from './harness.ts';
import { inScratchFolder } from './scratch.ts';

const threads = 2;

/** `MUSUBI_BENCH_SMALL=1` tries the bench in half a minute, in one process and without bars. */
const isSmall = Boolean(process.env['MUSUBI_BENCH_SMALL']);
const sizes = isSmall ? ([1024, 256] as const) : ([12288, 3072] as const);
const layers = isSmall ? 6 : 60;
const rounds = isSmall ? 1 : 3;
const measure = (request: Request) => measureOnce(request, !isSmall);
const bar = <T extends object>(limit: T): T | object => (isSmall ? {} : limit);

export const bench: Bench = {
  title: `8-bit base weights: ${layers} Linear layers of ${sizes.join(' x ')}, forward and transposed, ${threads} threads${isSmall ? ', SMALL' : ''}`,
  async run(log) {
    return inScratchFolder(async (folder) => {
      return measureLayers(join(folder, 'layers.safetensors'), log);
    });
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
      const { seconds } = await measure({ kind: 'make', checkpoint, threads, method: base });
      figures.push({ name: `${name}_layers_make_s`, value: seconds[0]!, unit: 's' });
    }
    const measured = await measure({
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
