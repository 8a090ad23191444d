import { readFileSync, writeFileSync } from 'node:fs';

export interface PeakMemory {
  /** Highest anonymous memory above that at the start; elsewhere than on Linux, resident memory. */
  readonly anonymousBytes: number;
  /** The same without what there was at the start taken off. */
  readonly wholeAnonymousBytes: number;
  /** Highest resident memory, files that are mapped included. */
  readonly residentBytes: number;
}

/**
 * Watches the memory of this process. Weights mapped from a file are no anonymous memory. Samples may miss a peak where
 * many programs want the processor, so the highest resident memory, which Linux counts itself, less the most that was
 * mapped is a lower bound. (Less what is mapped at the end it would be none: a session that is closed maps nothing more.)
 */
export function watchMemory(): { stop(): PeakMemory } {
  forgetPeak();
  const before = anonymous();
  let [peak, mapped] = [before, 0];
  const sample = (): void => {
    peak = Math.max(peak, anonymous());
    mapped = Math.max(mapped, readStatus('RssFile') ?? Infinity);
  };
  const watch = setInterval(sample, 5);
  return {
    stop() {
      clearInterval(watch);
      sample();
      const residentBytes = readStatus('VmHWM') ?? process.memoryUsage.rss();
      peak = Math.max(peak, residentBytes - mapped);
      return { anonymousBytes: peak - before, wholeAnonymousBytes: peak, residentBytes };
    },
  };
}

const anonymous = (): number => readStatus('RssAnon') ?? process.memoryUsage.rss();

/** Lets Linux count the highest resident memory from now on. */
function forgetPeak(): void {
  if (process.platform !== 'linux') return;
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    // then it counts from the start of the process
  }
}

function readStatus(name: string): number | undefined {
  if (process.platform !== 'linux') return undefined;
  const kibibytes = new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
}
