import { TrainerError } from './errors.ts';

/**
 * Says which option gave the file that an error is about.
 *
 * @param resolve gives the path its full form
 */
export async function withFile<T>(
  option: string,
  path: string,
  open: () => T | Promise<T>,
  resolve = (given: string): string => given,
): Promise<T> {
  try {
    return await open();
  } catch (cause) {
    if (!(cause instanceof Error) || !('remedy' in cause) || typeof cause.remedy !== 'string') throw cause;
    const { message, remedy } = cause;
    const found = message.endsWith(remedy) ? message.slice(0, -remedy.length).replace(/ $/, '') : message;
    const named = [path, resolve(path)].find((name) => found.startsWith(`${name}: `));
    const told = named === undefined ? found : found.slice(named.length + 2);
    throw new TrainerError(
      'FILE_UNUSABLE',
      `${option} = "${path}": ${told}`,
      remedy,
      { option, file: resolve(path) },
      { cause },
    );
  }
}
