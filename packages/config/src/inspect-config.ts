import type { ConfigProblem } from './errors.ts';
import { optionValues } from './option-values.ts';
import { toPlain } from './python-value.ts';
import type { OptionsRead } from './read-options.ts';

/** All settings of `inspect`, checked. */
export interface InspectConfig {
  /** An .onnx file or a folder of training artifacts. */
  readonly model: string;
  /** Lengths by symbol. */
  readonly dims: ReadonlyMap<string, number>;
  /** A profile of ONNX Runtime. */
  readonly profile: string | null;
  readonly json: boolean;
}

/** The configuration is only usable when `problems` is empty. */
export function toInspectConfig({ options }: OptionsRead): {
  readonly config: InspectConfig;
  readonly problems: readonly ConfigProblem[];
} {
  const { text, textOrNull, flag, items, problem, problems } = optionValues(options);
  if (text('model') === '')
    problem('MISSING_OPTION', 'model', 'is missing.', 'Write musubi inspect training_model.onnx.');
  const dims = new Map<string, number>();
  for (const item of items('dim')) {
    const written = String(toPlain(item));
    const [, symbol, length] = /^([A-Za-z_]\w*)=(\d{1,9})$/.exec(written) ?? [];
    if (symbol === undefined) problem('BAD_VALUE', 'dim', `"${written}" is no length.`, 'Write e.g. --dim B=1 S=2048.');
    else dims.set(symbol, Number(length));
  }
  return { config: { model: text('model'), dims, profile: textOrNull('profile'), json: flag('json') }, problems };
}
