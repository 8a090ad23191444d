import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Measured, PartRequest } from './request.ts';

import { resolveOptions } from '../../packages/config/src/index.ts';
import { runTraining } from '../../packages/trainer/src/node.ts';
import { goldenPath, readGoldenJson } from '../../tests/golden.ts';

const recorded = ['runs', 'wan_t2v'] as const;

/** A whole run that the original has made too, through everything that `musubi train` does. */
export async function measureRun({ device, folder, isSmall }: PartRequest): Promise<Measured> {
  const path = join(folder, 'run');
  await cp(goldenPath(...recorded), path, { recursive: true });
  process.chdir(path);
  const { micro_steps: expected } = readGoldenJson<{ micro_steps: readonly { loss: number }[] }>(
    ...recorded,
    'run.json',
  );
  const argv = ['--config_file', 'config.toml', '--device', device, ...(isSmall ? ['--max_train_steps', '2'] : [])];
  const { config } = await resolveOptions({ command: 'train', argv, readText: (file) => readFile(file, 'utf8') });
  const losses: number[] = [];
  const lines: string[] = [];
  const start = performance.now();
  await runTraining(config, {
    logger: (line) => lines.push(line),
    onStep: ({ loss }) => losses.push(loss),
  });
  const errors = losses.map((loss, i) => Math.abs(loss / (expected[i]?.loss ?? NaN) - 1));
  return {
    run_s: (performance.now() - start) / 1000,
    run_batches: losses.length,
    run_loss_error: Math.max(...errors),
    run_says: lines.filter((line) => /^(?:device:|a step )/.test(line)).join('; '),
  };
}
