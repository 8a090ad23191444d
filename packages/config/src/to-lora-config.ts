import type { ConfigProblem } from './errors.ts';
import type { AverageLorasConfig, ConvertLoraConfig, MergeLorasConfig } from './lora-config.ts';
import { optionValues, type OptionValues } from './option-values.ts';
import { pythonText } from './python-value.ts';
import type { OptionsRead } from './read-options.ts';

/** A configuration and everything that is wrong with it; it is only usable when `problems` is empty. */
interface Checked<Config> {
  readonly config: Config;
  readonly problems: readonly ConfigProblem[];
}

export function toAverageConfig({ options }: OptionsRead): Checked<AverageLorasConfig> {
  const values = optionValues(options);
  const config: AverageLorasConfig = {
    paths: values.items('path').map(pythonText),
    noSort: values.flag('no_sort'),
    beta: values.number('beta'),
    beta2: values.numberOrNull('beta2'),
    sigmaRel: values.numberOrNull('sigma_rel'),
    outputFile: values.text('output_file'),
  };
  if (config.paths.length === 0) {
    values.problem('MISSING_OPTION', 'path', 'is missing.', 'Write the adapter files behind the command.');
  }
  if (config.sigmaRel !== null && config.sigmaRel >= Math.sqrt(1 / 12)) {
    const reason = 'expected a number below 0.2887, the width of a plain mean.';
    values.problem('BAD_VALUE', 'sigma_rel', reason, 'Write e.g. --sigma_rel 0.2.');
  }
  require(values, [['output_file', 'Add --output_file my_lora-ema.safetensors.']]);
  return { config, problems: values.problems };
}

export function toMergeConfig({ options }: OptionsRead): Checked<MergeLorasConfig> {
  const values = optionValues(options);
  const paths = values.items('lora_weight').map(pythonText);
  const multipliers = values.items('lora_multiplier').map(({ value }) => Number(value));
  const config: MergeLorasConfig = {
    dit: values.text('dit'),
    loras: paths.map((path, i) => ({ path, multiplier: multipliers[i] ?? 1 })),
    saveMergedModel: values.text('save_merged_model'),
  };
  if (multipliers.length > Math.max(1, paths.length)) {
    const reason = `there are ${multipliers.length} factors for ${paths.length} files in lora_weight.`;
    values.problem('BAD_COMBINATION', 'lora_multiplier', reason, 'Give one factor for each file, or fewer.');
  }
  require(values, [
    ['dit', 'Add --dit model.safetensors, the checkpoint to merge into.'],
    ['save_merged_model', 'Add --save_merged_model merged.safetensors.'],
  ]);
  return { config, problems: values.problems };
}

export function toConvertConfig({ options }: OptionsRead): Checked<ConvertLoraConfig> {
  const values = optionValues(options);
  const config: ConvertLoraConfig = {
    input: values.text('input'),
    output: values.text('output'),
    target: values.text('target') === 'other' ? 'other' : 'default',
    diffusersPrefix: values.textOrNull('diffusers_prefix'),
  };
  require(values, [
    ['input', 'Add --input my_lora.safetensors.'],
    ['output', 'Add --output converted.safetensors.'],
    ['target', 'Add --target other, or --target default.'],
  ]);
  return { config, problems: values.problems };
}

function require(values: OptionValues, needed: readonly (readonly [name: string, remedy: string])[]): void {
  for (const [name, remedy] of needed) {
    if (values.text(name) === '') values.problem('MISSING_OPTION', name, 'is missing.', remedy);
  }
}
