import { join } from 'node:path';

import type { Bench, Figure } from './harness.ts';
import type { Request, Result } from './quality/run.ts';

import { writeQuickStart } from '../scripts/lib/quick-start.mjs';
import { runScript } from './run-script.ts';
import { inScratchFolder } from './scratch.ts';

/** `MUSUBI_BENCH_SMALL=1` tries the bench with a tenth of the steps, without bars. */
const isSmall = Boolean(process.env['MUSUBI_BENCH_SMALL']);
const steps = isSmall ? 20 : 200;
/** Mean over the last steps: a single one depends on which pictures and timesteps it drew. */
const last = steps / 10;

const bases = { float32: [], int8: ['--int8_base'], fp8: ['--fp8_base', '--fp8_scaled'] };

/**
 * Rows of 96 are no whole blocks of 64, so of the quick start's own model only one weight in ten is stored as integers; of
 * the one twice as wide, all that are of a published model.
 */
const models = { quickstart: {}, quickstart_wide: { width: 192, ffnWidth: 384, heads: 6 } };

export const bench: Bench = {
  title: `loss of the quick start after ${steps} steps with 8-bit base weights over that with the base as it is`,
  async run(log) {
    return inScratchFolder(async (folder) => {
      const figures: Figure[] = [];
      for (const [name, sizes] of Object.entries(models)) {
        log(`${name}: caching, then ${steps} steps with each base …`);
        figures.push(...(await measureModel(name, join(folder, name), sizes)));
      }
      return figures;
    });
  },
};

async function measureModel(name: string, folder: string, sizes: object): Promise<Figure[]> {
  await writeQuickStart(folder, {
    load: (pack, entry = 'index') => import(`../packages/${pack}/src/${entry}.ts`),
    sizes,
  });
  const runs = Object.entries(bases).map(([base, options]) => {
    return ['--max_train_steps', String(steps), '--output_name', base, ...options];
  });
  const request: Request = { folder, runs };
  const { losses, integerWeights } = await runScript<Result>(new URL('quality/run.ts', import.meta.url), request);
  const [float32 = NaN, int8 = NaN, fp8 = NaN] = losses.map((all) => mean(all.slice(-last)));
  const [first = NaN] = losses.map((all) => mean(all.slice(0, last)));
  const bar = isSmall ? {} : { atLeast: 0.99, atMost: 1.01 };
  return [
    { name: `${name}_int8_weights`, value: integerWeights, unit: '' },
    { name: `${name}_first_loss`, value: first, unit: '' },
    { name: `${name}_float32_loss`, value: float32, unit: '' },
    { name: `${name}_int8_loss_difference`, value: 100 * (int8 / float32 - 1), unit: '%' },
    { name: `${name}_int8_loss_ratio`, value: int8 / float32, unit: 'x', ...bar },
    { name: `${name}_fp8_loss_ratio`, value: fp8 / float32, unit: 'x' },
  ];
}

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;
