import { assertHistogram } from './internal/assert-histogram.ts';
import type { TimestepHistogram } from './timestep-histogram.ts';

const barLength = 64;
const binsALine = 25;

/**
 * A histogram as lines of text, as the original prints it: forty lines of 25 timesteps for the draws, then forty for the
 * weights of the loss, each with a bar.
 *
 * @throws {SamplerError} `BATCH_SHAPE`, `BAD_NUMBER` for what is no histogram
 */
export function histogramText({ counts, weights }: Pick<TimestepHistogram, 'counts' | 'weights'>): string[] {
  assertHistogram({ counts, weights });
  const [drawn, weighted] = [lineMeans(counts), lineMeans(weights)];
  const [maxDrawn, maxWeighted] = [Math.max(...drawn), Math.max(...weighted)];
  return [
    `Sampled timesteps: max count=${decimal(maxDrawn)}`,
    ...drawn.map((mean, i) => `${label(i)} ${bar(mean, maxDrawn)}`),
    `Sampled loss weighting: max weighting=${decimal(maxWeighted)}`,
    ...weighted.map((mean, i) => `${label(i)} ${mean.toFixed(2).padStart(8)} ${bar(mean, maxWeighted)}`),
  ];
}

function lineMeans(values: readonly number[]): number[] {
  return Array.from({ length: Math.ceil(values.length / binsALine) }, (_, i) => {
    const line = values.slice(i * binsALine, (i + 1) * binsALine);
    return line.reduce((sum, value) => sum + value, 0) / line.length;
  });
}

function label(line: number): string {
  const first = line * binsALine;
  return `${String(first).padStart(4)}-${String(first + binsALine - 1).padStart(4)}:`;
}

const bar = (value: number, max: number): string => '#'.repeat(max > 0 ? Math.floor((value / max) * barLength) : 0);

/** At least one decimal, as Python prints floats. */
const decimal = (value: number): string => (Number.isInteger(value) ? value.toFixed(1) : String(value));
