import type { CacheConfig, CacheLatentsConfig, CacheTextConfig } from './cache-config.ts';
import type { CommandSpec } from './commands.ts';
import type { ConfigProblem } from './errors.ts';
import { toDevice } from './to-device.ts';
import { optionValues, type OptionValues } from './option-values.ts';
import type { OptionsRead } from './read-options.ts';
import type { SavePrecision } from './train-config.ts';

/** A configuration and everything that is wrong with it; it is only usable when `problems` is empty. */
interface Checked<Config> {
  readonly config: Config;
  readonly problems: readonly ConfigProblem[];
}

/** @param written the command as the user wrote it: under the name of the original's script the model is known */
export function toCacheLatentsConfig(
  { options }: OptionsRead,
  command: CommandSpec,
  written: string,
): Checked<CacheLatentsConfig> {
  const values = optionValues(options);
  const { text, textOrNull, number, numberOrNull, problem, problems } = values;
  const config: CacheLatentsConfig = {
    ...commonConfig(values, command, written),
    vae: textOrNull('vae'),
    vaeDtype: storedAs[text('vae_dtype')] ?? 'bf16',
    numWorkers: numberOrNull('num_workers'),
    debugMode: text('debug_mode') === 'console' ? 'console' : null,
    consoleWidth: number('console_width'),
    consoleNumImages: numberOrNull('console_num_images'),
  };
  if (textOrNull('vae_dtype') !== null && storedAs[text('vae_dtype')] === undefined) {
    const isEightBit = text('vae_dtype').startsWith('fp8');
    const known = 'Write bfloat16, float16 or float32.';
    if (isEightBit) problem('NOT_IN_THIS_RELEASE', 'vae_dtype', 'latents in 8 bits are not in this release.', known);
    else problem('BAD_CHOICE', 'vae_dtype', 'is not a number type.', known);
  }
  if (!config.vae && config.debugMode === null)
    problem('MISSING_OPTION', 'vae', 'is missing.', 'Add --vae Wan2.1_VAE.pth, the file of the VAE.');
  return { config, problems };
}

/** @param written the command as the user wrote it: under the name of the original's script the model is known */
export function toCacheTextConfig(
  { options }: OptionsRead,
  command: CommandSpec,
  written: string,
): Checked<CacheTextConfig> {
  const values = optionValues(options);
  const { text, textOrNull, problem, problems } = values;
  const config = {
    ...commonConfig(values, command, written),
    t5: text('t5'),
    tokenizer: textOrNull('tokenizer'),
  };
  if (config.t5 === '') {
    const remedy = 'Add --t5 models_t5_umt5-xxl-enc-bf16.pth, the file of the text encoder.';
    problem('MISSING_OPTION', 't5', 'is missing.', remedy);
  }
  return { config, problems };
}

const storedAs: Readonly<Record<string, SavePrecision>> = {
  bfloat16: 'bf16',
  bf16: 'bf16',
  float16: 'fp16',
  fp16: 'fp16',
  float32: 'fp32',
  fp32: 'fp32',
  float: 'fp32',
};

function commonConfig(values: OptionValues, command: CommandSpec, written: string): CacheConfig {
  const { text, textOrNull, numberOrNull, flag, problem } = values;
  if (textOrNull('architecture') === null && isGeneralName(command, written))
    problem('MISSING_OPTION', 'architecture', 'is missing.', `Add --architecture wan, or write ${command.script}.`);
  if (text('dataset_config') === '')
    problem('MISSING_OPTION', 'dataset_config', 'is missing.', 'Add --dataset_config dataset.toml.');
  return {
    datasetConfig: text('dataset_config'),
    batchSize: numberOrNull('batch_size'),
    skipExisting: flag('skip_existing'),
    keepCache: flag('keep_cache'),
    device: toDevice(values),
    strictDevice: flag('strict_device'),
  };
}

/** `cache_latents` is for any model, `wan_cache_latents` for one. */
function isGeneralName({ script }: CommandSpec, written: string): boolean {
  return !written.replace(/\.py$/i, '').endsWith(script);
}
