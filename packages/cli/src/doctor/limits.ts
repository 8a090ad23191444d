import type { Machine } from './machine.ts';

/** What a container may use; null where it may use all. */
export interface Limits {
  /** Processors, e.g. 1.5. */
  readonly processors: number | null;
  readonly memoryBytes: number | null;
}

/** Those of memory as Node.js finds them, those of processors from control groups, version 2 and then 1. */
export async function readLimits({ platform, readText, memoryBytes, allowedMemoryBytes }: Machine): Promise<Limits> {
  const limit = allowedMemoryBytes < memoryBytes ? allowedMemoryBytes : null;
  if (platform !== 'linux') return { processors: null, memoryBytes: limit };
  const root = '/sys/fs/cgroup';
  const number = async (path: string) => Number((await readText(`${root}/${path}`)) ?? Number.NaN);
  const [quota = '', period = ''] = (await readText(`${root}/cpu.max`))?.trim().split(' ') ?? [];
  const share =
    quota === ''
      ? (await number('cpu/cpu.cfs_quota_us')) / (await number('cpu/cpu.cfs_period_us'))
      : Number(quota) / Number(period);
  return {
    processors: share > 0 ? share : null,
    memoryBytes: limit,
  };
}
