import type { ResolvedOptions } from '@musubi/config';
import { createStepClock } from '@musubi/tracking';
import { createTerminalProgress } from '@musubi/tracking/node';

import type { CliContext } from './context.ts';
import { listenForInterruption } from './interruption.ts';
import type { ExitCode } from './exit-code.ts';
import { createRunTrackers } from './run-trackers.ts';
import type { TrainEvent, TrainHooks, TrainOutcome } from './trainer.ts';
import { writeConfig } from './write-config.ts';

/** Runs a training with progress on standard error, its logs, and Ctrl-C as an orderly end. */
export async function train(options: ResolvedOptions, context: CliContext): Promise<ExitCode> {
  const { config, answers } = options;
  const progress = createTerminalProgress({ stream: context.stderr, environment: context.environment });
  const trackers = createRunTrackers(config, context, progress.line);
  const interruption = listenForInterruption(context, progress.line);
  try {
    for (const answer of answers) progress.line(`note: ${answer}`);
    const { runTraining } = await context.loadTrainer();
    const outcome = await runTraining(config, { ...hooks(), signal: interruption.signal });
    trackers.event({ event: outcome.status, step: outcome.steps, path: outcome.path });
    const exitCode = outcome.status === 'finished' ? 0 : 130;
    await trackers.close(exitCode);
    progress.end();
    context.stdout.write(`${describeOutcome(outcome)}\n`);
    return exitCode;
  } catch (error) {
    trackers.event({ event: 'failed', message: error instanceof Error ? error.message : String(error) });
    throw error;
  } finally {
    await trackers.close(1);
    interruption.stop();
    progress.end();
  }

  function hooks(): Omit<TrainHooks, 'signal'> {
    let stepTiming: ReturnType<typeof createStepClock> | null = null;
    return {
      logger: progress.line,
      onEvent(event) {
        if (event.type === 'start') {
          trackers.open();
          const problem = writeConfig(options);
          if (problem !== null) progress.line(problem);
          stepTiming = createStepClock(event.totalSteps, () => performance.now() / 1000);
        }
        const line = describe(event);
        if (line !== null) progress.line(line);
        const { type, ...facts } = event;
        if (type === 'epoch-end') trackers.epochEnd(event.epoch, event.averageLoss);
        else trackers.event({ event: type, ...facts });
      },
      onStep(step) {
        stepTiming ??= createStepClock(step.totalSteps, () => performance.now() / 1000);
        progress.update({ ...step, learningRate: step.learningRates[0] ?? 0, ...stepTiming(step.step) });
        trackers.batch(step);
      },
    };
  }
}

function describeOutcome({ status, path, steps }: TrainOutcome): string {
  if (path === null) return 'Interrupted before the first step; there is nothing to save.';
  const what = status === 'finished' ? 'Saved' : 'Interrupted; saved';
  return `${what} ${path} after ${steps} ${steps === 1 ? 'step' : 'steps'}.`;
}

function describe(event: TrainEvent): string | null {
  switch (event.type) {
    case 'epoch':
      return `epoch ${event.epoch}/${event.totalEpochs}`;
    case 'saved':
      return `saving checkpoint: ${event.path}`;
    case 'removed':
      return `removing old checkpoint: ${event.path}`;
    default:
      return null;
  }
}
