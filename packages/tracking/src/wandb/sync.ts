import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import type { WandbClient } from './client.ts';
import { WandbError } from './errors.ts';
import { readUploadState, writeUploadState } from './spool-state.ts';
import { uploadSpool } from './upload.ts';

/** What became of one spool. */
export interface SyncedSpool {
  readonly path: string;
  readonly page: string;
  /** Rows that were sent now. */
  readonly sentRows: number;
  /** The run has ended, and wandb knows. */
  readonly isComplete: boolean;
}

/**
 * Spools at or below a path: the file itself, or every file that a run left in a folder named `wandb`, oldest first.
 *
 * @throws {WandbError} `WANDB_SPOOL` when there is none
 */
export async function findWandbSpools(path: string): Promise<string[]> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new WandbError('WANDB_SPOOL', `${path} cannot be read.`, { cause });
  });
  if (found.isFile()) return [path];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const spools = entries
    .filter((entry) => entry.isFile() && /^run-\d{14}-\w+\.jsonl$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
  if (spools.length === 0) throw new WandbError('WANDB_SPOOL', `There is no run for wandb in ${path}.`);
  return spools.toSorted();
}

/**
 * Sends what wandb does not have yet of a spool.
 *
 * @throws {WandbError} as `uploadSpool`
 */
export async function syncWandbSpool(path: string, client: WandbClient): Promise<SyncedSpool> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new WandbError('WANDB_SPOOL', `${path} cannot be read.`, { cause });
  });
  const before = readUploadState(path);
  const state = await uploadSpool(text, client, before, (sent) => writeUploadState(path, sent));
  return {
    path,
    page: client.pageOf(state.place),
    sentRows: state.rows - (before?.rows ?? 0),
    isComplete: state.isComplete,
  };
}
