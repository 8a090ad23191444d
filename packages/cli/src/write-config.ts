import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { resolvedToml, type ResolvedOptions } from '@musubi/config';

/**
 * Writes all options of a run beside its adapter, as `<output_name>.config.toml`: secrets are left out, and the file can be
 * given as `--config_file`. It appears whole or not at all. A file from which the options came is left alone.
 *
 * @returns what to tell when it cannot be written, else null: a run does not fail over this
 */
export function writeConfig({ command, options, config }: ResolvedOptions): string | null {
  const path = join(config.outputDir, `${config.outputName}.config.toml`);
  const source = options.get('config_file')?.value.value;
  if (typeof source === 'string' && resolve(source) === resolve(path)) return null;
  try {
    writeAtOnce(path, resolvedToml(command, options));
    return null;
  } catch (error) {
    return `The options of the run cannot be written to ${path}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** In one go, so that a run that is ended at once has it or leaves nothing of it. */
function writeAtOnce(path: string, text: string): void {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(4).toString('hex')}.tmp`);
  try {
    const file = openSync(temporary, 'wx');
    try {
      writeSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
