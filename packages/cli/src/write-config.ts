import { renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { resolvedToml, type ResolvedOptions } from '@musubi/config';

/**
 * Writes all options of a run beside its adapter, as `<output_name>.config.toml`: secrets are left out, and the file can be
 * given as `--config_file`. A file from which the options came is left alone.
 *
 * @returns what to tell when it cannot be written, else null: a run does not fail over this
 */
export function writeConfig({ command, options, config }: ResolvedOptions): string | null {
  const path = join(config.outputDir, `${config.outputName}.config.toml`);
  const source = options.get('config_file')?.value.value;
  if (typeof source === 'string' && resolve(source) === resolve(path)) return null;
  try {
    writeFileSync(`${path}.tmp`, resolvedToml(command, options));
    renameSync(`${path}.tmp`, path);
    return null;
  } catch (error) {
    return `The options of the run cannot be written to ${path}: ${error instanceof Error ? error.message : String(error)}`;
  }
}
