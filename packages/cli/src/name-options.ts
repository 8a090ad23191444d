import { resolve } from 'node:path';

import { CliError } from './errors.ts';

/**
 * Says which option gave the file that an error is about.
 *
 * @param files those of each option, by its name
 * @throws {CliError} `FILE_UNUSABLE` with the error as its cause; errors about other files, or none, as they are
 */
export async function nameOptions<T>(
  files: Readonly<Record<string, readonly string[]>>,
  task: () => Promise<T>,
): Promise<T> {
  try {
    return await task();
  } catch (error) {
    const { file, remedy } = error as { file?: unknown; remedy?: unknown };
    if (!(error instanceof Error) || typeof file !== 'string' || typeof remedy !== 'string') throw error;
    for (const [option, paths] of Object.entries(files)) {
      const path = paths.find((given) => resolve(given) === resolve(file));
      if (path === undefined) continue;
      const found = error.message.replace(`${file}: `, '').slice(0, -remedy.length).trimEnd();
      throw new CliError('FILE_UNUSABLE', `${option} = "${path}": ${found}`, remedy, { cause: error });
    }
    throw error;
  }
}
