import type { Machine } from './machine.ts';

/** What a container may use; null where it may use all. */
export interface Limits {
  /** Processors, e.g. 1.5. */
  readonly processors: number | null;
  readonly memoryBytes: number | null;
}

/** Reads the limits of control groups, version 2 and then 1. */
export async function readLimits({ platform, readText, memoryBytes }: Machine): Promise<Limits> {
  if (platform !== 'linux') return { processors: null, memoryBytes: null };
  const root = '/sys/fs/cgroup';
  const number = async (path: string) => Number((await readText(`${root}/${path}`)) ?? Number.NaN);
  const [quota = '', period = ''] = (await readText(`${root}/cpu.max`))?.trim().split(' ') ?? [];
  const share =
    quota === ''
      ? (await number('cpu/cpu.cfs_quota_us')) / (await number('cpu/cpu.cfs_period_us'))
      : Number(quota) / Number(period);
  const newLimit = await number('memory.max');
  const limit = Number.isNaN(newLimit) ? await number('memory/memory.limit_in_bytes') : newLimit;
  return {
    processors: share > 0 ? share : null,
    // no limit is written as "max", or as a number beyond all memory
    memoryBytes: limit > 0 && limit < memoryBytes ? limit : null,
  };
}
