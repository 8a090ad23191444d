/** One measured number. A bar makes it a promise: `pnpm bench` fails when it is missed. */
export interface Figure {
  /** Unique over all benches, snake_case, unit last: `forward_2048_ms`. */
  name: string;
  value: number;
  /** `ms`, `MB`, `x` for a ratio. */
  unit: string;
  atMost?: number;
  atLeast?: number;
}

/** What a file `bench/NAME.bench.ts` exports under the name `bench`. */
export interface Bench {
  /** What is measured and how, in one sentence. */
  title: string;
  run(log: (line: string) => void): Promise<readonly Figure[]>;
}

export interface Timing {
  /** Times of the measured calls, in seconds, in the order of the calls. */
  seconds: readonly number[];
  median: number;
}

/** Calls `action` a few times to warm up, then times `repeats` calls one after the other. */
export async function measure(
  action: () => unknown,
  options: { warmups?: number; repeats?: number } = {},
): Promise<Timing> {
  const { warmups = 2, repeats = 7 } = options;
  for (let i = 0; i < warmups; i++) await action();
  const seconds: number[] = [];
  for (let i = 0; i < repeats; i++) {
    const start = performance.now();
    await action();
    seconds.push((performance.now() - start) / 1000);
  }
  return { seconds, median: median(seconds) };
}

/** Middle value; of an even number of values the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('the median of no values does not exist');
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted.length >> 1;
  const lower = sorted.length % 2 === 1 ? upper : upper - 1;
  return ((sorted[lower] ?? NaN) + (sorted[upper] ?? NaN)) / 2;
}

/** False only where the figure has a bar and misses it; a NaN misses every bar. */
export function meetsBar({ value, atMost, atLeast }: Figure): boolean {
  return (atMost === undefined || value <= atMost) && (atLeast === undefined || value >= atLeast);
}

/** Lines of a table: name, value with unit, bar, whether it is met. */
export function formatFigures(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    figure.name,
    `${formatNumber(figure.value)} ${figure.unit}`,
    figure.atMost !== undefined
      ? `at most ${figure.atMost}`
      : figure.atLeast !== undefined
        ? `at least ${figure.atLeast}`
        : '',
    figure.atMost === undefined && figure.atLeast === undefined ? '' : meetsBar(figure) ? 'ok' : 'MISSED',
  ]);
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Four significant digits, without an exponent between 0.001 and a million. */
function formatNumber(value: number): string {
  return String(Number(value.toPrecision(4)));
}
