import { join, resolve } from 'node:path';
import { resolvedToml, type ResolvedOptions } from '@musubi/config';
import { writeFileAtomic } from '@musubi/safetensors/node';

/**
 * Writes all options of a run beside its adapter, as `<output_name>.config.toml`: secrets are left out, and the file can be
 * given as `--config_file`. It appears whole or not at all. A file from which the options came is left alone.
 *
 * @returns what to tell when it cannot be written, else null: a run does not fail over this
 */
export async function writeConfig({ command, options, config }: ResolvedOptions): Promise<string | null> {
  const path = join(config.outputDir, `${config.outputName}.config.toml`);
  const source = options.get('config_file')?.value.value;
  if (typeof source === 'string' && resolve(source) === resolve(path)) return null;
  try {
    await writeFileAtomic(path, resolvedToml(command, options));
    return null;
  } catch (error) {
    return `The options of the run cannot be written to ${path}: ${error instanceof Error ? error.message : String(error)}`;
  }
}
