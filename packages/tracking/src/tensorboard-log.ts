import { closeSync, fsyncSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

import { TrackingError } from './errors.ts';
import { hyperparameterEvents, hyperparametersYaml, type Hyperparameters } from './hyperparameters.ts';
import { eventFileName, eventRecord, scalarEvent, versionEvent } from './tensorboard-events.ts';

/** An open TensorBoard event file. */
export interface TensorBoardLog {
  readonly path: string;
  /** Appends one event a value; they are in the operating system's hands when the call returns. */
  scalars(step: number, values: Readonly<Record<string, number>>): void;
  /** Writes the options of the run: an event file and `hparams.yml`, each in a subfolder named by the time. */
  hyperparameters(values: Hyperparameters): void;
  /** Makes sure it is on the disk, and closes it. Calling it again does nothing. */
  close(): void;
}

export interface TensorBoardLogOptions {
  readonly host?: string;
  readonly pid?: number;
  /** Unix seconds. */
  readonly now?: () => number;
}

/** Counts the event files of this process, so that no two of a second have one name. */
let opened = 0;

/**
 * Opens a new event file in a folder, which is made when needed.
 *
 * @throws {TrackingError} `LOG_FILE`, also from its functions
 */
export function openTensorBoardLog(folder: string, options: TensorBoardLogOptions = {}): TensorBoardLog {
  const { host = hostname(), pid = process.pid, now = () => Date.now() / 1000 } = options;
  const nameNow = () => eventFileName({ unixSeconds: now(), host, pid, counter: opened++ });
  const path = join(folder, nameNow());
  let file: number | null = guard(path, () => {
    mkdirSync(folder, { recursive: true });
    const descriptor = openSync(path, 'wx');
    writeSync(descriptor, eventRecord(versionEvent(now())));
    return descriptor;
  });
  return {
    path,
    scalars(step, values) {
      const target = file;
      if (target === null) throw new TrackingError(path, new Error('it is closed'));
      const wallTime = now();
      const records = Object.entries(values).map(([tag, value]) =>
        eventRecord(scalarEvent(wallTime, { tag, value, step })),
      );
      // One write, so that a crash leaves whole events.
      guard(path, () => writeSync(target, Buffer.concat(records)));
    },
    hyperparameters(values) {
      const events = [versionEvent(now()), ...hyperparameterEvents(now(), values)].map(eventRecord);
      writeInside(join(folder, String(now())), nameNow(), Buffer.concat(events));
      writeInside(join(folder, String(now())), 'hparams.yml', hyperparametersYaml(values));
    },
    close() {
      const target = file;
      file = null;
      if (target === null) return;
      guard(path, () => {
        try {
          fsyncSync(target);
        } finally {
          closeSync(target);
        }
      });
    },
  };
}

function writeInside(folder: string, name: string, content: Uint8Array | string): void {
  const path = join(folder, name);
  guard(path, () => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(path, content);
  });
}

function guard<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    throw new TrackingError(path, cause);
  }
}
