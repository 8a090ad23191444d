import type { TrainConfig } from '@musubi/config';
import { scheduleSvg, scheduleText } from '@musubi/schedulers';

import type { CliContext } from './context.ts';
import { pngFont, writePng } from './render-png.ts';

/**
 * `--show_lr_schedule`: the learning rate of every step of the run, as text or as a PNG file in the output folder.
 *
 * @throws {CliError} `PNG_UNAVAILABLE`; what a run with these settings throws before it starts
 */
export async function showLrSchedule(config: TrainConfig, { stdout }: Pick<CliContext, 'stdout'>): Promise<void> {
  // Without a session of ONNX Runtime, so it need not be installed for this.
  const { planLearningRates } = await import('@musubi/trainer/node');
  const plan = await planLearningRates(config);
  if (config.showLrSchedule === 'console') {
    for (const line of scheduleText(plan)) stdout.write(`${line}\n`);
    return;
  }
  stdout.write(`${await writePng(scheduleSvg(plan, pngFont), config, 'learning-rates')}\n`);
}
