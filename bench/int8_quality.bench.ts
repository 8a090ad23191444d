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

export const bench: Bench = {
  title: `loss of the quick start after ${steps} steps with 8-bit base weights over that with the base as it is`,
  async run(log) {
    return inScratchFolder(async (folder) => {
      log('writing pictures and models …');
      await writeQuickStart(folder, (name, entry = 'index') => import(`../packages/${name}/src/${entry}.ts`));
      log(`caching, then ${steps} steps with each base …`);
      const runs = Object.entries(bases).map(([base, options]) => {
        return ['--max_train_steps', String(steps), '--output_name', base, ...options];
      });
      const { losses } = await runScript<Result>(new URL('quality/run.ts', import.meta.url), {
        folder,
        runs,
      } satisfies Request);
      const [float32 = NaN, int8 = NaN, fp8 = NaN] = losses.map((all) => mean(all.slice(-last)));
      const [first = NaN] = losses.map((all) => mean(all.slice(0, last)));
      const bar = isSmall ? {} : { atLeast: 0.99, atMost: 1.01 };
      return [
        { name: 'quickstart_first_loss', value: first, unit: '' },
        { name: 'quickstart_float32_loss', value: float32, unit: '' },
        { name: 'quickstart_int8_loss_ratio', value: int8 / float32, unit: 'x', ...bar },
        { name: 'quickstart_fp8_loss_ratio', value: fp8 / float32, unit: 'x' },
      ] satisfies Figure[];
    });
  },
};

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;
