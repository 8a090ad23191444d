import type { JsonLineValue } from '../json-lines.ts';

/** A run as wandb files it: everything but its numbers. */
export type WandbRun = {
  /** Letters and digits, unique in the project; part of the address of the run. */
  readonly id: string;
  readonly project: string;
  /** User or team; null is the one that the key belongs to. */
  readonly entity: string | null;
  /** Name to show; null lets wandb choose one. */
  readonly name: string | null;
  readonly group: string | null;
  readonly jobType: string | null;
  readonly notes: string | null;
  readonly tags: readonly string[];
  /** Options of the run. */
  readonly config: Readonly<Record<string, JsonLineValue>>;
  /** Name of the machine. */
  readonly host: string | null;
};

/** One row of a run's history: numbers by name, and `_step`, `_timestamp`, `_runtime`. */
export type WandbRow = Readonly<Record<string, JsonLineValue>>;

/** What a spool holds, line by line: the run first, then its rows, then how it ended. */
export type WandbRecord =
  | { readonly type: 'run'; readonly format: 1; readonly run: WandbRun }
  | { readonly type: 'row'; readonly row: WandbRow }
  | { readonly type: 'exit'; readonly exitCode: number };

/** A run id: eight small letters and digits, from uniform numbers. */
export function createRunId(random: () => number = Math.random): string {
  const letters = 'abcdefghijklmnopqrstuvwxyz0123456789';
  return Array.from({ length: 8 }, () => letters[Math.floor(random() * letters.length)]).join('');
}
