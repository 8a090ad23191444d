import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import type { Collector } from './collect.ts';

/** Warns where what is to be written is more than what is free on the disk of a folder, which may not exist yet. */
export async function checkDiskSpace(
  collector: Collector,
  { folder, bytes, what, option }: { folder: string; bytes: number; what: string; option: string },
): Promise<void> {
  const free = await freeBytes(folder);
  if (free === null || free >= bytes) return;
  collector.warn(
    'DISK_SPACE',
    { option, file: folder },
    `${what} take up to ${formatBytes(bytes)}; the disk of "${folder}" has ${formatBytes(free)} free.`,
    'Make room on the disk, or choose another folder.',
  );
}

async function freeBytes(folder: string): Promise<number | null> {
  let path = resolve(folder);
  while (!existsSync(path) && dirname(path) !== path) path = dirname(path);
  return statfs(path).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => null,
  );
}

function formatBytes(bytes: number): string {
  const units = ['bytes', 'KB', 'MB', 'GB', 'TB'];
  const unit = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  const value = bytes / 1000 ** unit;
  return `${unit === 0 ? value : value.toPrecision(3)} ${units[unit]}`;
}
