import { appendFile, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { writeFileAtomic } from '@musubi/safetensors/node';

import { type FileFacts, factsOf, fileFacts, isSettled } from './file-facts.ts';

/** What a cache is made from, apart from the settings of the run. */
export interface CacheOrigin {
  readonly files?: readonly string[];
  readonly text?: string;
}

/** A note in a cache folder of what a run has written, so that one which was stopped continues where it was. */
export interface CachingJournal {
  /** A run with the same settings was stopped before its end. */
  readonly continues: boolean;
  /**
   * Whether that run wrote this cache, as it is, from this origin, as it is. Remembers how the origin's files are now, so it
   * is to be called before they are read.
   */
  isDone(cache: string, origin: CacheOrigin): Promise<boolean>;
  /** Notes that caches are written from what `isDone` was told. */
  add(caches: readonly string[]): Promise<void>;
  /** To be called when all caches of the folder are written. */
  finish(): Promise<void>;
}

/**
 * Opens the note, or leaves a new one: a line with the settings, then one for each cache. Facts are compared with those
 * noted, never times with each other: pictures, caches and the program may each have a clock of their own, and a picture may
 * change between its reading and the writing of its cache.
 *
 * @param folder of the caches, which is there
 * @param kind one word, e.g. `wan_latents`: runs of several kinds share a folder
 * @param settings everything that changes the contents of caches, apart from the origin of each
 */
export async function openJournal(folder: string, kind: string, settings: unknown): Promise<CachingJournal> {
  // readers of caches look for *.safetensors
  const path = join(folder, `.musubi_${kind}.jsonl`);
  const head = JSON.stringify(settings);
  const [headBefore, ...lines] = (await readFile(path, 'utf8').catch(() => '')).split('\n');
  const continues = headBefore === head;
  // the last piece is empty, or a line that was cut off when the program or the machine was
  const noted = new Set(continues ? lines.slice(0, -1) : []);
  await writeFileAtomic(path, [head, ...noted, ''].join('\n'));
  const origins = new Map<string, { files: readonly FileFacts[]; text: string | null }>();

  async function lineOf(cache: string): Promise<string | null> {
    const origin = origins.get(cache);
    const written = await fileFacts(cache).catch(() => null);
    if (!origin || !written) return null;
    return JSON.stringify({ cache: basename(cache), bytes: written.bytes, modifiedMs: written.modifiedMs, ...origin });
  }

  return {
    continues,
    async isDone(cache, { files = [], text = null }) {
      origins.delete(cache);
      const facts = await factsOf(files).catch(() => null);
      if (!facts?.every((file) => isSettled(file))) return false;
      origins.set(cache, { files: facts, text });
      const line = await lineOf(cache);
      return line !== null && noted.has(line);
    },
    async add(caches) {
      const added = (await Promise.all(caches.map(lineOf))).filter((line) => line !== null);
      if (added.length > 0) await appendFile(path, added.map((line) => `${line}\n`).join(''));
    },
    finish: () => rm(path, { force: true }),
  };
}
