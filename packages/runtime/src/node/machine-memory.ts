import { totalmem } from 'node:os';

/**
 * Bytes of memory that this process may use: those of the machine, or fewer in a container or another group with a limit.
 *
 * @param limit of the group, as `process.constrainedMemory()` gives it: 0, undefined or more than there is for none
 */
export function machineMemory(limit: number | undefined = process.constrainedMemory?.(), all = totalmem()): number {
  return limit !== undefined && limit > 0 && limit < all ? limit : all;
}
