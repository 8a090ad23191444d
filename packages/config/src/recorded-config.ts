import { toPlain, type PlainValue } from './python-value.ts';
import type { ReadOption } from './read-options.ts';

/** Options that name a file or a folder. Files are shared; where things lie on a machine is left out of them. */
const paths = new Set([
  'base_weights',
  'clip',
  'dataset_config',
  'dit',
  'dit_high_noise',
  'fp8_cache_dir',
  'log_tracker_config',
  'logging_dir',
  'model_config',
  'network_weights',
  'output_dir',
  'resume',
  'sample_prompts',
  't5',
  'training_artifacts',
  'vae',
]);

/**
 * All options of a run that have a value, as JSON by their snake_case names, for the metadata of a saved adapter. No secret
 * is among them, nor the name of the configuration file, and of a path only its last part.
 */
export function recordedConfig(options: ReadonlyMap<string, Pick<ReadOption, 'spec' | 'value'>>): string {
  const recorded = [...options].filter(
    ([name, { spec, value }]) => !spec.isSecret && name !== 'config_file' && value.type !== 'null',
  );
  return JSON.stringify(
    Object.fromEntries(
      recorded.map(([name, { value }]) => [name, paths.has(name) ? lastParts(toPlain(value)) : toPlain(value)]),
    ),
  );
}

function lastParts(value: PlainValue): PlainValue {
  if (Array.isArray(value)) return value.map(lastParts);
  // model_config may be JSON itself.
  if (typeof value !== 'string' || value.trimStart().startsWith('{')) return value;
  return value.replace(/[\\/]+$/, '').replace(/^.*[\\/]/, '');
}
