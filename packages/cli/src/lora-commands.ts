import type { AverageLorasConfig, ConvertLoraConfig, MergeLorasConfig } from '@musubi/config';
import { averageLoraFiles, convertLoraFile, mergeLoraFiles } from '@musubi/lora/node';

import type { CliContext } from './context.ts';
import type { ExitCode } from './exit-code.ts';
import { listenForInterruption } from './interruption.ts';
import { nameOptions } from './name-options.ts';

type Output = Pick<CliContext, 'stdout' | 'stderr'>;

/** `lora_post_hoc_ema` */
export async function averageLoras(config: AverageLorasConfig, context: Output): Promise<ExitCode> {
  const { outputFile: output, ...options } = config;
  await nameOptions({ path: config.paths }, () => averageLoraFiles({ ...options, output, logger: lines(context) }));
  return done(context, `Saved ${output}, the average of ${config.paths.length} files.`);
}

/** `merge_lora` */
export async function mergeLoras(
  { dit, loras, saveMergedModel }: MergeLorasConfig,
  context: CliContext,
): Promise<ExitCode> {
  const files = { dit: [dit], lora_weight: loras.map(({ path }) => path) };
  const logger = lines(context);
  const { signal, stop } = listenForInterruption(context, logger, null);
  try {
    const count = await nameOptions(files, () =>
      mergeLoraFiles({ base: dit, adapters: loras, output: saveMergedModel, logger, signal }),
    );
    return done(context, `Saved ${saveMergedModel}, ${count} of its weights changed by ${loras.length} adapters.`);
  } catch (error) {
    if (!signal.aborted) throw error;
    return 130;
  } finally {
    stop();
  }
}

/** `convert_lora` */
export async function convertLora(config: ConvertLoraConfig, context: Output): Promise<ExitCode> {
  const count = await nameOptions({ input: [config.input] }, () =>
    convertLoraFile({ ...config, logger: lines(context) }),
  );
  return done(context, `Saved ${config.output} with ${count} tensors.`);
}

function lines({ stderr }: Output): (line: string) => void {
  return (line) => void stderr.write(`${line}\n`);
}

function done({ stdout }: Output, line: string): ExitCode {
  stdout.write(`${line}\n`);
  return 0;
}
