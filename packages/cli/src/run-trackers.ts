import { hostname } from 'node:os';
import { join } from 'node:path';
import type { TrainConfig } from '@musubi/config';
import {
  createRunId,
  createWandbClient,
  defaultTrackerName,
  logFolderName,
  stepLogs,
  type JsonLineValue,
  type WandbClient,
} from '@musubi/tracking';
import {
  openJsonLog,
  openTensorBoardLog,
  openWandbLog,
  type JsonLog,
  type TensorBoardLog,
  type WandbLog,
} from '@musubi/tracking/node';

import type { CliContext } from './context.ts';
import type { TrainStep } from './trainer.ts';

/** Everything that keeps the numbers of a run; all of it gets the same ones. */
export interface RunTrackers {
  /**
   * Opened when training starts, so that a run refused before leaves no file.
   *
   * @throws {TrackingError} when a log cannot be made
   */
  open(): void;
  /** An event of the run, for the JSON lines alone. */
  event(record: Readonly<Record<string, JsonLineValue>>): void;
  batch(step: TrainStep): void;
  epochEnd(epoch: number, averageLoss: number): void;
  /** Calling it again does nothing. */
  close(exitCode: number): Promise<void>;
}

/** JSON lines beside the adapter, and what `--log_with` and `--logging_dir` ask for. */
export function createRunTrackers(
  { outputDir, outputName, logging }: TrainConfig,
  { environment }: Pick<CliContext, 'environment'>,
  say: (line: string) => void,
): RunTrackers {
  const jsonLog = forgiving<JsonLog>(say);
  const tensorBoard = forgiving<TensorBoardLog>(say);
  const stopUploads = new AbortController();
  let wandb: WandbLog | null = null;

  const event: RunTrackers['event'] = (record) =>
    jsonLog.use((log) => log.write({ time: new Date().toISOString(), ...record }));

  return {
    open() {
      const startedAt = new Date();
      const runFolder = logFolderName({ prefix: logging.prefix, startedAt });
      const trackerName = logging.trackerName ?? defaultTrackerName;
      jsonLog.open(openJsonLog(join(outputDir, `${outputName}.log.jsonl`)));
      if (logging.tensorBoard && logging.folder !== null) {
        tensorBoard.open(openTensorBoardLog(join(logging.folder, runFolder, trackerName)));
        const { options } = logging;
        if (options) tensorBoard.use((log) => log.hyperparameters(options));
      }
      const mode = environment['WANDB_MODE'];
      if (logging.wandb === null || mode === 'disabled') return;
      const { apiKey, ...details } = logging.wandb;
      const id = createRunId();
      const folder = logging.folder === null ? outputDir : join(logging.folder, runFolder);
      const date = logFolderName({ startedAt });
      wandb = openWandbLog({
        path: join(folder, 'wandb', `run-${date}-${id}.jsonl`),
        run: {
          ...details,
          id,
          project: trackerName,
          entity: details.entity ?? (environment['WANDB_ENTITY'] || null),
          config: logging.options ?? {},
          host: hostname(),
        },
        client: mode === 'offline' ? null : wandbClient(apiKey, environment, stopUploads.signal, say),
        say,
      });
    },
    event,
    batch(step) {
      const numbers = stepLogs(step);
      const { gradientNorm, datasetIndex, items, timesteps } = step;
      const details = { gradient_norm: gradientNorm, dataset: datasetIndex, items, timesteps };
      event({ event: 'batch', step: step.step, epoch: step.epoch, ...numbers, ...details });
      tensorBoard.use((log) => log.scalars(step.step, numbers));
      wandb?.batch(step.step, step.epoch, numbers);
    },
    epochEnd(epoch, averageLoss) {
      const numbers = { 'loss/epoch': averageLoss };
      event({ event: 'epoch-end', epoch, averageLoss, ...numbers });
      tensorBoard.use((log) => log.scalars(epoch, numbers));
      wandb?.epoch(epoch, numbers);
    },
    async close(exitCode) {
      jsonLog.close();
      tensorBoard.close();
      await wandb?.close(exitCode);
      stopUploads.abort(); // a request that hangs would keep the process alive
      wandb = null;
    },
  };
}

/** The client for the key of the options or the environment; null without one, or with one that cannot be sent. */
export function wandbClient(
  apiKey: string | null,
  environment: CliContext['environment'],
  signal: AbortSignal | undefined,
  say: (line: string) => void,
): WandbClient | null {
  const key = apiKey ?? environment['WANDB_API_KEY'];
  if (!key) return null;
  try {
    return createWandbClient({
      apiKey: key,
      baseUrl: environment['WANDB_BASE_URL'] || undefined,
      ...(signal ? { signal } : {}),
    });
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    return null;
  }
}

/** A log that may fail later, on a full disk for instance: that is said once, the log ends, and training goes on. */
function forgiving<Log extends { close(): void }>(say: (line: string) => void) {
  let log: Log | null = null;
  const attempt = (action: () => void): void => {
    try {
      action();
    } catch (error) {
      log = null;
      say(`Logging stops, training goes on. ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  return {
    open(opened: Log): void {
      log = opened;
    },
    use(action: (log: Log) => void): void {
      const current = log;
      if (current) attempt(() => action(current));
    },
    close(): void {
      const current = log;
      log = null;
      if (current) attempt(() => current.close());
    },
  };
}
