import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

import { TrackingError } from '../errors.ts';
import { jsonLine } from '../json-lines.ts';
import type { WandbClient } from './client.ts';
import { WandbError } from './errors.ts';
import type { WandbRecord, WandbRow, WandbRun } from './run.ts';
import { readUploadState, writeUploadState } from './spool-state.ts';
import { type UploadState, uploadSpool } from './upload.ts';

export interface WandbLogOptions {
  readonly run: WandbRun;
  /** The file that keeps everything; it is made new. */
  readonly path: string;
  /** Null only keeps. */
  readonly client: WandbClient | null;
  /** Gets a line where the run is, or why it is not sent. */
  readonly say: (line: string) => void;
  /** Unix seconds. */
  readonly now?: () => number;
  /** Shortest time between two uploads, default 15 000. */
  readonly intervalMs?: number;
  /** Longest time that closing waits for an upload, default 10 000. */
  readonly closingMs?: number;
}

/** A run on its way to wandb. */
export interface WandbLog {
  readonly path: string;
  /** Adds a row: numbers of one batch. */
  batch(step: number, epoch: number, values: Readonly<Record<string, number>>): void;
  /** Adds numbers of an epoch to the row of its last batch. */
  epoch(epoch: number, values: Readonly<Record<string, number>>): void;
  /** Sends the rest as far as time allows, and closes the file. */
  close(exitCode: number): Promise<void>;
}

/**
 * Keeps the rows of a run in a file, and sends them to wandb in the background. Whatever happens to the network, the file has
 * all of it: `syncWandbSpool` sends the rest. Nothing here ends a run; only opening the file may fail.
 *
 * A row is a batch: `_step` counts batches, `global_step` optimizer steps. With one batch a step the two are equal.
 *
 * @throws {TrackingError} `LOG_FILE` when the file cannot be made
 */
export function openWandbLog(options: WandbLogOptions): WandbLog {
  const { path, client, say, now = () => Date.now() / 1000, intervalMs = 15_000, closingMs = 10_000 } = options;
  const startedAt = now();
  const sync = `musubi wandb sync "${path}"`;
  let file: number | null = open(path, { type: 'run', format: 1, run: options.run });
  let row: WandbRow | null = null;
  let rows = 0;

  let sending: Promise<void> | null = null;
  let state: UploadState | null = null;
  let isStopped = client === null;
  let failures = 0;
  let nextAt = 0; // at once, so that the run's page is there from the start
  let isToldUnreachable = false;

  if (client === null) say(`wandb has no key, so the run is kept in ${path}. Send it later with: ${sync}`);

  function keep(record: WandbRecord): void {
    if (file === null) return;
    try {
      writeSync(file, jsonLine(record));
    } catch (cause) {
      closeSync(file);
      file = null;
      say(`Logging for wandb stops, training goes on. ${new TrackingError(path, cause).message}`);
    }
  }

  function keepRow(): void {
    if (row) keep({ type: 'row', row });
    row = null;
  }

  async function send(): Promise<void> {
    if (!client) return;
    try {
      const before = state;
      state = await uploadSpool(readFileSync(path, 'utf8'), client, state, (sent) => {
        state = sent;
        writeUploadState(path, sent);
      });
      if (before === null) say(`wandb: ${client.pageOf(state.place)}`);
      failures = 0;
      nextAt = performance.now() + intervalMs;
    } catch (error) {
      failures++;
      // Twice as long after each failure, up to ten minutes.
      nextAt = performance.now() + Math.min(intervalMs * 2 ** failures, 600_000);
      isStopped = !(error instanceof WandbError && error.isTemporary);
      if (isToldUnreachable) return;
      isToldUnreachable = true;
      const then = isStopped ? 'Training goes on without it' : 'Training goes on, and tries again';
      say(`${error instanceof Error ? error.message : String(error)} ${then}; the run is kept in ${path}.`);
    }
  }

  function sendSoon(): void {
    if (isStopped || sending || performance.now() < nextAt) return;
    sending = send().finally(() => (sending = null));
  }

  sendSoon();
  return {
    path,
    batch(step, epoch, values) {
      keepRow();
      const time = now();
      rows++;
      const place = { _step: rows, _timestamp: time, _runtime: time - startedAt };
      row = { ...place, global_step: step, epoch, ...values };
      sendSoon();
    },
    epoch(epoch, values) {
      row = { ...(row ?? { _step: rows, _timestamp: now(), _runtime: now() - startedAt }), epoch, ...values };
    },
    async close(exitCode) {
      if (file === null) return;
      keepRow();
      keep({ type: 'exit', exitCode });
      if (file !== null) closeSync(file);
      file = null;
      if (isStopped || !client) return;
      const limit = timeLimit(closingMs);
      const rest = (async () => {
        await sending;
        if (!isStopped) await send();
      })();
      await Promise.race([rest, limit.reached]);
      limit.clear();
      // A request that still hangs changes neither this line nor the file.
      isStopped = true;
      if (!readUploadState(path)?.isComplete) say(`wandb does not have all of the run yet. Send it with: ${sync}`);
    },
  };
}

function open(path: string, first: WandbRecord): number {
  try {
    mkdirSync(dirname(path), { recursive: true });
    const file = openSync(path, 'wx');
    writeSync(file, jsonLine(first));
    return file;
  } catch (cause) {
    throw new TrackingError(path, cause);
  }
}

function timeLimit(milliseconds: number) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const reached = new Promise<void>((resolve) => (timer = setTimeout(resolve, milliseconds)));
  return { reached, clear: () => clearTimeout(timer) };
}
