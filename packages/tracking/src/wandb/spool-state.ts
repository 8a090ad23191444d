import { readFileSync, renameSync, writeFileSync } from 'node:fs';

import type { UploadState } from './upload.ts';

/** The file beside a spool that says what wandb has of it. */
export const uploadStatePath = (spool: string): string => `${spool.replace(/\.jsonl$/, '')}.uploaded.json`;

/** Null when nothing was sent, or the file cannot be read: then everything is sent again, which is harmless. */
export function readUploadState(spool: string): UploadState | null {
  try {
    const found = JSON.parse(readFileSync(uploadStatePath(spool), 'utf8')) as UploadState;
    const { place, rows } = found;
    const isWhole = [place.entity, place.project, place.id].every((part) => typeof part === 'string');
    return isWhole && Number.isSafeInteger(rows) && rows >= 0 ? found : null;
  } catch {
    return null;
  }
}

export function writeUploadState(spool: string, state: UploadState): void {
  const path = uploadStatePath(spool);
  try {
    writeFileSync(`${path}.tmp`, `${JSON.stringify(state)}\n`);
    renameSync(`${path}.tmp`, path);
  } catch {
    // Without it everything is sent again.
  }
}
