import { rm, stat } from 'node:fs/promises';

export const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    (status) => status.isFile(),
    () => false,
  );

/** Deletes files, saying so of each; one that is gone already is no trouble. */
export async function removeCaches(paths: readonly string[], logger: (line: string) => void): Promise<number> {
  for (const path of paths) {
    await rm(path, { force: true });
    logger(`removing ${path}, which belongs to no item of the dataset any more`);
  }
  return paths.length;
}
