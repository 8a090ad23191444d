import type { ResolvedCommand } from '@musubi/config';
import { createStepClock } from '@musubi/tracking';
import { createTerminalProgress } from '@musubi/tracking/node';

import type { CliContext } from './context.ts';
import { listenForInterruption } from './interruption.ts';
import type { ExitCode } from './exit-code.ts';
import type { CacheHooks, CachingOutcome } from './trainer.ts';

type CachingCommand = Extract<ResolvedCommand, { readonly task: 'cache latents' | 'cache text' }>;

/** Makes caches with progress on standard error and Ctrl-C as an orderly end. Items left out make the exit code 1. */
export async function makeCaches(command: CachingCommand, context: CliContext): Promise<ExitCode> {
  const progress = createTerminalProgress({ stream: context.stderr, environment: context.environment });
  const interruption = listenForInterruption(context, progress.line, 'this batch');
  try {
    for (const answer of command.answers) progress.line(`note: ${answer}`);
    const trainer = await context.loadTrainer();
    const given = { ...hooks(), signal: interruption.signal };
    const outcome =
      command.task === 'cache latents'
        ? await trainer.runCacheLatents(command.config, given)
        : await trainer.runCacheTexts(command.config, given);
    progress.end();
    if (!isShown(command)) context.stdout.write(`${describeOutcome(outcome)}\n`);
    if (outcome.status === 'interrupted') return 130;
    return outcome.failures.length === 0 ? 0 : 1;
  } finally {
    interruption.stop();
    progress.end();
  }

  function hooks(): Omit<CacheHooks, 'signal'> {
    let timing: ReturnType<typeof createStepClock> | null = null;
    return {
      logger: progress.line,
      show: (text) => context.stdout.write(text),
      isTerminal: context.stdout.isTTY === true,
      onProgress({ items, totalItems }) {
        timing ??= createStepClock(totalItems, () => performance.now() / 1000);
        progress.update({ items, totalItems, ...timing(items) });
      },
    };
  }
}

/** Items were shown instead of encoded. */
function isShown(command: CachingCommand): boolean {
  return command.task === 'cache latents' && command.config.debugMode !== null;
}

function describeOutcome({ status, written, kept, removed }: CachingOutcome): string {
  const parts = [
    `${count(written, 'cache')} written`,
    ...(kept > 0 ? [`${kept} kept`] : []),
    ...(removed > 0 ? [`${removed} removed`] : []),
  ].join(', ');
  if (status === 'finished') return `Done: ${parts}.`;
  return `Interrupted: ${parts}. The same command again goes on from here.`;
}

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
