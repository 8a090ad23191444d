import { pythonText } from './python-value.ts';
import type { ReadOption } from './read-options.ts';
import type { LoggedOptions } from './train-config.ts';

/** Options that say where things lie on this machine, and so are no business of a tracker. */
const leftOut = new Set([
  'dit',
  'vae',
  'text_encoder',
  'text_encoder1',
  'text_encoder2',
  'image_encoder',
  't5',
  'clip',
  'byt5',
  'base_weights',
  'network_weights',
  'output_dir',
  'logging_dir',
  'training_artifacts',
  'fp8_cache_dir',
]);

/**
 * Options as `--log_config` sends them to trackers: none that is secret, and no path of a model, an adapter or an output.
 * Lists become texts in Python's notation.
 */
export function loggedOptions(options: ReadonlyMap<string, Pick<ReadOption, 'spec' | 'value'>>): LoggedOptions {
  return Object.fromEntries(
    [...options].flatMap(([name, { spec, value }]) => {
      if (spec.isSecret || leftOut.has(name)) return [];
      switch (value.type) {
        case 'list':
        case 'tuple':
        case 'table':
          return [[name, pythonText(value)]];
        default:
          return [[name, value.value]];
      }
    }),
  );
}
