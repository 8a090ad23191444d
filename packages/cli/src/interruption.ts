import type { CliContext } from './context.ts';

/**
 * Turns Ctrl-C into an orderly end: the first one aborts `signal` and says what happens, the second one ends the process
 * at once.
 */
export function listenForInterruption(
  { onInterrupt, exitAtOnce }: Pick<CliContext, 'onInterrupt' | 'exitAtOnce'>,
  say: (line: string) => void,
  /** What is finished first, and is saved; null: nothing is. */
  unit: string | null = 'this step',
): { signal: AbortSignal; stop: () => void } {
  const controller = new AbortController();
  const stop = onInterrupt(() => {
    if (controller.signal.aborted) {
      exitAtOnce();
      return;
    }
    say(
      unit === null
        ? 'Stopping; nothing will be written.'
        : `Stopping after ${unit}, then saving. Ctrl-C again stops at once, without saving.`,
    );
    controller.abort();
  });
  return { signal: controller.signal, stop };
}
