import { join } from 'node:path';
import type { TrainConfig } from '@musubi/config';
import { createStepClock, stepLogs, type JsonLineValue } from '@musubi/tracking';
import { createTerminalProgress, openJsonLog, type JsonLog } from '@musubi/tracking/node';

import type { CliContext } from './context.ts';
import { listenForInterruption } from './interruption.ts';
import type { ExitCode } from './report-error.ts';
import type { TrainEvent, TrainHooks, TrainOutcome } from './trainer.ts';

/** Runs a training with progress on standard error, a JSONL log beside the adapter, and Ctrl-C as an orderly end. */
export async function train(config: TrainConfig, answers: readonly string[], context: CliContext): Promise<ExitCode> {
  const progress = createTerminalProgress({ stream: context.stderr, environment: context.environment });
  const log = lazyLog(join(config.outputDir, `${config.outputName}.log.jsonl`), progress.line);
  const interruption = listenForInterruption(context, progress.line);
  try {
    for (const answer of answers) progress.line(`note: ${answer}`);
    const { runTraining } = await context.loadTrainer();
    const outcome = await runTraining(config, { ...hooks(), signal: interruption.signal });
    log.write({ event: outcome.status, step: outcome.steps, path: outcome.path });
    progress.end();
    context.stdout.write(`${describeOutcome(outcome)}\n`);
    return outcome.status === 'finished' ? 0 : 130;
  } catch (error) {
    log.write({ event: 'failed', message: error instanceof Error ? error.message : String(error) });
    throw error;
  } finally {
    interruption.stop();
    progress.end();
    log.close();
  }

  function hooks(): Omit<TrainHooks, 'signal'> {
    let stepTiming: ReturnType<typeof createStepClock> | null = null;
    return {
      logger: progress.line,
      onEvent(event) {
        if (event.type === 'start') {
          log.open();
          stepTiming = createStepClock(event.totalSteps, () => performance.now() / 1000);
        }
        const line = describe(event);
        if (line !== null) progress.line(line);
        const { type, ...facts } = event;
        log.write({ event: type, ...(type === 'epoch-end' ? { ...facts, 'loss/epoch': event.averageLoss } : facts) });
      },
      onStep(step) {
        stepTiming ??= createStepClock(step.totalSteps, () => performance.now() / 1000);
        progress.update({ ...step, learningRate: step.learningRates[0] ?? 0, ...stepTiming(step.step) });
        log.write({
          event: 'batch',
          step: step.step,
          epoch: step.epoch,
          ...stepLogs(step),
          gradient_norm: step.gradientNorm,
          dataset: step.datasetIndex,
          items: step.items,
          timesteps: step.timesteps,
        });
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

/**
 * A log that is opened when training starts, so that a run refused before leaves no file. A disk that is full later must not
 * end the run: that is said once, and logging stops.
 */
function lazyLog(path: string, say: (line: string) => void) {
  let log: JsonLog | null = null;
  return {
    open(): void {
      log = openJsonLog(path);
    },
    write(record: Readonly<Record<string, JsonLineValue>>): void {
      try {
        log?.write({ time: new Date().toISOString(), ...record });
      } catch (error) {
        log = null;
        say(`Logging stops, training goes on. ${error instanceof Error ? error.message : String(error)}`);
      }
    },
    close(): void {
      try {
        log?.close();
      } catch (error) {
        say(error instanceof Error ? error.message : String(error));
      }
      log = null;
    },
  };
}
