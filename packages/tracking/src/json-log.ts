import { closeSync, fstatSync, fsyncSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

import { TrackingError } from './errors.ts';
import { jsonLine, type JsonLineValue } from './json-lines.ts';

/** An open JSONL log. */
export interface JsonLog {
  readonly path: string;
  /** Appends one line; it is in the operating system's hands when the call returns. */
  write(record: Readonly<Record<string, JsonLineValue>>): void;
  /** Makes sure it is on the disk, and closes it. Calling it again does nothing. */
  close(): void;
}

/**
 * Opens a JSONL log for appending and makes its folder when needed. A line that a crash cut short stays a line of its own.
 *
 * @throws {TrackingError} `LOG_FILE`, also from `write`
 */
export function openJsonLog(path: string): JsonLog {
  const guard = <T>(action: () => T): T => {
    try {
      return action();
    } catch (cause) {
      throw new TrackingError(path, cause);
    }
  };
  let file: number | null = guard(() => {
    mkdirSync(dirname(path), { recursive: true });
    const opened = openSync(path, 'a+');
    if (!endsWithNewline(opened)) writeSync(opened, '\n');
    return opened;
  });
  return {
    path,
    write(record) {
      const target = file;
      if (target === null) throw new TrackingError(path, new Error('it is closed'));
      guard(() => writeSync(target, jsonLine(record)));
    },
    close() {
      const target = file;
      file = null;
      if (target === null) return;
      guard(() => {
        try {
          fsyncSync(target);
        } finally {
          closeSync(target);
        }
      });
    },
  };
}

function endsWithNewline(file: number): boolean {
  const { size } = fstatSync(file);
  if (size === 0) return true;
  const last = new Uint8Array(1);
  readSync(file, last, 0, 1, size - 1);
  return last[0] === 0x0a;
}
