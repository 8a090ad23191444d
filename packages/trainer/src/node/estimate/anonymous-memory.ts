import { readFileSync } from 'node:fs';

/** Bytes of this process that are no file's; elsewhere than on Linux, all that are in memory. */
export function anonymousMemory(): number {
  if (process.platform !== 'linux') return process.memoryUsage.rss();
  const kibibytes = /^RssAnon:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return kibibytes === undefined ? process.memoryUsage.rss() : Number(kibibytes) * 1024;
}
