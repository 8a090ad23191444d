import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Measured, PartRequest } from './request.ts';

import { resolveOptions } from '../../packages/config/src/index.ts';
import { runTraining } from '../../packages/trainer/src/node.ts';
import { goldenPath, readGoldenJson } from '../../tests/golden.ts';

const recorded = ['runs', 'wan_t2v'] as const;

/** A whole run that the original has made too, through everything that `musubi train` does; products in 16 bits where asked. */
export async function measureRun({ part, device, folder, isSmall }: PartRequest): Promise<Measured> {
  const path = join(folder, 'run');
  await cp(goldenPath(...recorded), path, { recursive: true });
  process.chdir(path);
  const { micro_steps: expected } = readGoldenJson<{ micro_steps: readonly { loss: number }[] }>(
    ...recorded,
    'run.json',
  );
  const precision = part.split('_')[1] ?? 'no';
  const argv = ['--config_file', 'config.toml', '--device', device, '--mixed_precision', precision];
  if (isSmall) argv.push('--max_train_steps', '2');
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
    [`${part}_s`]: (performance.now() - start) / 1000,
    [`${part}_batches`]: losses.length,
    [`${part}_loss_error`]: Math.max(...errors),
    [`${part}_says`]: lines.filter((line) => /^(?:device:|a step |mixed_precision)/.test(line)).join('; '),
  };
}
