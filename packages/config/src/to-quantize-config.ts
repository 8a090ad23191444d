import type { ConfigProblem } from './errors.ts';
import { optionValues } from './option-values.ts';
import { toPlain } from './python-value.ts';
import type { QuantizeConfig } from './quantize-config.ts';
import type { OptionsRead } from './read-options.ts';

/** The configuration is only usable when `problems` is empty. */
export function toQuantizeConfig({ options }: OptionsRead): {
  readonly config: QuantizeConfig;
  readonly problems: readonly ConfigProblem[];
} {
  const { text, textOrNull, number, numberOrNull, items, problem, problems } = optionValues(options);
  const usage = 'Write musubi quantize in.safetensors out.safetensors --architecture wan.';
  for (const name of ['input', 'output']) if (text(name) === '') problem('MISSING_OPTION', name, 'is missing.', usage);

  const architecture = textOrNull('architecture');
  const include = items('target_keys').map((item) => String(toPlain(item)));
  const exclude = items('exclude_keys').map((item) => String(toPlain(item)));
  const hasOwnList = include.length > 0 || exclude.length > 0;
  if (architecture === null && !hasOwnList) {
    const remedy = 'Add --architecture wan, or name parts of keys: --target_keys blocks --exclude_keys norm.';
    problem('MISSING_OPTION', 'architecture', 'is missing.', remedy);
  }
  if (architecture !== null && hasOwnList) {
    const remedy = 'Remove it, or remove target_keys and exclude_keys.';
    problem('BAD_COMBINATION', 'architecture', 'stands beside a list of keys.', remedy);
  }
  const config: QuantizeConfig = {
    input: text('input'),
    output: text('output'),
    targets: architecture ?? { include: include.length === 0 ? null : include, exclude },
    format: text('fp8_format'),
    mode: text('quantization_mode'),
    blockSize: number('block_size'),
    numWorkers: numberOrNull('num_workers'),
  };
  return { config, problems };
}
