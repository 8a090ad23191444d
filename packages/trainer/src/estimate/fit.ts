import type { DeviceMemory } from './device-memory.ts';
import type { RunMemory } from './memory-of-run.ts';

import { usableShare } from './constants.ts';

/** What there is: of the machine, and of its graphics device, where that says it. Bytes. */
export interface Room {
  readonly machineBytes: number;
  readonly deviceBytes: number | null;
}

/** Whether what a run needs is there. */
export interface Fit {
  /** All that is needed of the graphics device; null where the CPU computes. */
  readonly deviceBytes: number | null;
  readonly onMachine: boolean;
  /** Null where the CPU computes, or where the memory of the device is not known. */
  readonly onDevice: boolean | null;
  /** Both on the machine and on its device; null where that is not known. */
  readonly fits: boolean | null;
}

export function fitOf(memory: Pick<RunMemory, 'total'>, deviceMemory: DeviceMemory | null, room: Room): Fit {
  const onMachine = memory.total <= usableShare * room.machineBytes;
  if (deviceMemory === null) return { deviceBytes: null, onMachine, onDevice: null, fits: onMachine };
  const deviceBytes = Object.values(deviceMemory).reduce((sum: number, bytes: number) => sum + bytes, 0);
  const onDevice = room.deviceBytes === null ? null : deviceBytes <= usableShare * room.deviceBytes;
  return { deviceBytes, onMachine, onDevice, fits: onMachine && onDevice };
}
