import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';

/** What tells whether a file is still the same, without reading it. */
export interface FileFacts {
  readonly path: string;
  readonly bytes: number;
  readonly modifiedMs: number;
  /** Of its entry in the folder: a copy may keep the time at which its original was written, but not this one. */
  readonly changedMs: number;
}

/** @throws the system's error where the file cannot be looked at */
export async function fileFacts(path: string): Promise<FileFacts> {
  const { size, mtimeMs, ctimeMs } = await stat(path);
  return { path: resolve(path), bytes: size, modifiedMs: mtimeMs, changedMs: ctimeMs };
}

/** Of several files, each once. */
export function factsOf(files: Iterable<string>): Promise<FileFacts[]> {
  return Promise.all([...new Set(files)].map(fileFacts));
}

/** Disks with coarse times count in steps of up to this, e.g. FAT. */
const coarseMs = 2000;

/** Whether a change from now on would show: on a disk with coarse times, one that follows another at once does not. */
export function isSettled({ modifiedMs, changedMs }: FileFacts, nowMs = Date.now()): boolean {
  const isCoarse = modifiedMs % 1000 === 0 && changedMs % 1000 === 0;
  return !isCoarse || Math.abs(nowMs - modifiedMs) > coarseMs;
}
