/** Asks the browser to keep the screen on, as a machine that sleeps does not train. It may refuse. */
export function keepScreenOn(): { readonly release: () => void } {
  const lock = 'wakeLock' in navigator ? navigator.wakeLock.request('screen').catch(() => null) : null;
  return { release: () => void lock?.then((sentinel) => sentinel?.release()) };
}
