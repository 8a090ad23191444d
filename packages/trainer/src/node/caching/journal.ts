import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { writeFileAtomic } from '@musubi/safetensors/node';

/** A note in a cache folder that a run is under way, so that one which was stopped continues where it was. */
export interface CachingJournal {
  /** A run with the same settings was stopped before its end. */
  readonly continues: boolean;
  /** Whether that run has already written this cache, from sources that have not changed since. */
  isDone(cache: string, sources: readonly string[]): Promise<boolean>;
  /** To be called when all caches of the folder are written. */
  finish(): Promise<void>;
}

/**
 * Opens the note, or leaves a new one. Times are those of the disk itself: its clock need not be that of the program.
 *
 * @param folder of the caches, which is there
 * @param kind one word, e.g. `wan_latents`: runs of several kinds share a folder
 * @param settings everything that changes the contents of caches, apart from the sources of each
 */
export async function openJournal(folder: string, kind: string, settings: unknown): Promise<CachingJournal> {
  // readers of caches look for *.safetensors
  const path = join(folder, `.musubi_${kind}.json`);
  const text = `${JSON.stringify(settings, null, 1)}\n`;
  const continues = (await readFile(path, 'utf8').catch(() => null)) === text;
  if (!continues) await writeFileAtomic(path, text);
  const { mtimeMs: startedAt } = await stat(path);
  return {
    continues,
    isDone: async (cache, sources) => continues && isNewer(cache, sources, startedAt),
    finish: () => rm(path, { force: true }),
  };
}

async function isNewer(cache: string, sources: readonly string[], startedAt: number): Promise<boolean> {
  const written = await stat(cache).catch(() => null);
  if (!written || written.mtimeMs < startedAt) return false;
  const changes = await Promise.all(sources.map((source) => stat(source).catch(() => null)));
  // a copy may keep the time at which its original was written, but not that at which it came
  return changes.every((source) => source !== null && Math.max(source.mtimeMs, source.ctimeMs) <= written.mtimeMs);
}
