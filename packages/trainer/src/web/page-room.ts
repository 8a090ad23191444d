import type { RuntimeInfo } from '@musubi/runtime';

import type { AttentionRoom } from '../plan-attention.ts';

const gibibyte = 2 ** 30;

/** WebAssembly's addresses have 32 bits. */
const addressSpace = 4 * gibibyte;

/** For browsers that do not say what the machine has (Firefox, Safari): as much as nearly every machine that can train. */
const usualGibibytes = 4;

/** Not in the DOM types of TypeScript. */
interface NavigatorWithMemory {
  /** GiB */
  readonly deviceMemory?: number;
}

/**
 * What a page has for scores: the memory that the browser tells, a power of two and at most 8 or 32 GiB; for the processor
 * not more than WebAssembly can address. No browser tells the memory of a graphics card, but it tells how large a tensor a
 * shader can reach.
 */
export function pageRoom(
  { device, webGpu }: Pick<RuntimeInfo, 'device' | 'webGpu'>,
  { deviceMemory = usualGibibytes }: NavigatorWithMemory = (globalThis.navigator as NavigatorWithMemory | undefined) ??
    {},
): AttentionRoom {
  const totalMemoryBytes = deviceMemory * gibibyte;
  if (device !== 'webgpu') return { totalMemoryBytes: Math.min(totalMemoryBytes, addressSpace) };
  return webGpu
    ? { totalMemoryBytes, largestTensorBytes: Math.min(webGpu.maxBindingBytes, webGpu.maxBufferBytes) }
    : { totalMemoryBytes };
}
