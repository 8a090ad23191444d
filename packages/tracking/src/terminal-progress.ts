import { formatProgress, type ItemProgress, type Progress } from './format-progress.ts';

/** The part of a Node stream that progress needs; `process.stderr` is one. */
export interface ProgressStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** A progress display on a stream. */
export interface TerminalProgress {
  /** Shows a state: in a terminal in place, elsewhere as a line now and then. */
  update(progress: Progress | ItemProgress): void;
  /** Prints a line; in a terminal above the progress. */
  line(text: string): void;
  /** Shows the last state and leaves it standing. */
  end(): void;
}

export interface TerminalProgressOptions {
  readonly stream?: ProgressStream;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Milliseconds on a clock that does not jump. */
  readonly now?: () => number;
  /** Shortest time between two plain lines where there is no terminal, default 10 000. */
  readonly plainIntervalMs?: number;
}

/** In a terminal, more often than this only costs time. */
const terminalIntervalMs = 100;

/**
 * Progress of a run on standard error. Colours only in a terminal, and not with `NO_COLOR` set or `TERM=dumb`
 * (https://no-color.org).
 */
export function createTerminalProgress(options: TerminalProgressOptions = {}): TerminalProgress {
  const { stream = process.stderr, environment = process.env, now = () => performance.now() } = options;
  const isDumb = environment['TERM'] === 'dumb';
  const inPlace = stream.isTTY === true && !isDumb;
  const colour = inPlace && !environment['NO_COLOR'];
  const interval = inPlace ? terminalIntervalMs : (options.plainIntervalMs ?? 10_000);
  let latest: Progress | ItemProgress | null = null;
  let shown: Progress | ItemProgress | null = null;
  let shownAt = -Infinity;

  function show(progress: Progress | ItemProgress): void {
    shown = progress;
    shownAt = now();
    // One column stays free: a full line would wrap in some terminals.
    const columns = inPlace && stream.columns ? stream.columns - 1 : Infinity;
    const text = formatProgress(progress, { columns, colour });
    stream.write(inPlace ? `\r${text}\u001B[K` : `${text}\n`);
  }

  return {
    update(progress) {
      const isLast =
        'totalItems' in progress ? progress.items >= progress.totalItems : progress.step >= progress.totalSteps;
      latest = progress;
      if (isLast || now() - shownAt >= interval) show(progress);
    },
    line(text) {
      stream.write(inPlace && shown !== null ? `\r\u001B[K${text}\n` : `${text}\n`);
      if (inPlace && latest !== null) show(latest);
    },
    end() {
      if (latest !== null && latest !== shown) show(latest);
      if (inPlace && shown !== null) stream.write('\n');
      latest = shown = null;
    },
  };
}
