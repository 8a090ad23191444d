import { readFile } from 'node:fs/promises';
import type { ProgressStream } from '@musubi/tracking/node';

import { loadTrainer } from './load-trainer.ts';
import type { Trainer } from './trainer.ts';

/** Everything the command line takes from its surroundings; tests give their own. */
export interface CliContext {
  readonly stdout: Pick<ProgressStream, 'write' | 'isTTY'>;
  readonly stderr: ProgressStream;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Rejects with the code `ENOENT` where there is no file. */
  readonly readText: (path: string) => Promise<string>;
  readonly loadTrainer: () => Promise<Trainer>;
  /** Calls back at each Ctrl-C; returns how to stop listening. */
  readonly onInterrupt: (callback: () => void) => () => void;
  /** Ends the process at once, as interrupted. */
  readonly exitAtOnce: () => void;
}

export function processContext(): CliContext {
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    environment: process.env,
    readText: (path) => readFile(path, 'utf8'),
    loadTrainer,
    onInterrupt(callback) {
      const signals = ['SIGINT', 'SIGTERM'] as const;
      for (const signal of signals) process.on(signal, callback);
      return () => {
        for (const signal of signals) process.off(signal, callback);
      };
    },
    exitAtOnce() {
      // process.exit would wait until the thread that computes returns from its native call, perhaps minutes later. The
      // signal itself does not wait, and shells report 130 for it (Windows has no such number and reports 1).
      process.removeAllListeners('SIGINT');
      process.kill(process.pid, 'SIGINT');
    },
  };
}
