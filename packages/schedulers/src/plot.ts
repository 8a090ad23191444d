import { optionError } from './errors.ts';
import { assertNumber } from './internal/numbers.ts';
import type { RateSchedule } from './rex.ts';

/** What to plot. */
export interface SchedulePlot {
  readonly schedule: RateSchedule;
  /** Optimizer steps of the run. */
  readonly totalSteps: number;
  /** Own rate of each parameter group; one curve each. */
  readonly baseRates: readonly number[];
  /** Title of the picture, e.g. the name of the schedule. */
  readonly title?: string;
}

/**
 * A schedule as text: each line a part of the run, its rate, and a bar; the rate is that of the line's middle step and of the
 * first group.
 *
 * @param lines number of lines, default 25, or the steps when these are fewer
 * @param columns length of the longest bar, default 50
 * @throws {ScheduleError} `SCHEDULE_OPTION` for what cannot be plotted, and what the schedule throws
 */
export function scheduleText(plot: SchedulePlot, lines = 25, columns = 50): string[] {
  assertPlot(plot);
  assertNumber('lines', lines, isWhole, 'a whole number of at least 1');
  assertNumber('columns', columns, isWhole, 'a whole number of at least 1');
  const { schedule, totalSteps, baseRates } = plot;
  const count = Math.min(lines, totalSteps);
  const digits = String(totalSteps).length;
  const rows = Array.from({ length: count }, (_, i) => {
    const first = Math.floor((i * totalSteps) / count);
    const last = Math.floor(((i + 1) * totalSteps) / count) - 1;
    const rate = schedule(Math.floor((first + last) / 2), baseRates[0] ?? 0);
    return { part: `${String(first).padStart(digits)}-${String(last).padStart(digits)}`, rate };
  });
  const highest = Math.max(...rows.map(({ rate }) => rate));
  return rows.map(({ part, rate }) => {
    const bar = '#'.repeat(highest > 0 ? Math.round((rate / highest) * columns) : 0);
    return `${part}: ${rate.toExponential(3)} ${bar}`.trimEnd();
  });
}

const colours = ['#2f6db3', '#b03a2e', '#3c8d5a', '#8a5aa8', '#b8860b'];
const [left, top, width, height] = [90, 50, 580, 270];

/**
 * A schedule as an SVG picture of 700 × 380, one curve a group.
 *
 * @param fontFamily font of the labels, default `sans-serif`
 * @throws {ScheduleError} `SCHEDULE_OPTION` for what cannot be plotted, and what the schedule throws
 */
export function scheduleSvg(plot: SchedulePlot, fontFamily = 'sans-serif'): string {
  assertPlot(plot);
  const { schedule, totalSteps, baseRates, title = 'Learning rate' } = plot;
  // More points than pixels show nothing; steps are whole, so that jumps stay where they are.
  const stride = Math.max(1, Math.floor(totalSteps / 1000));
  const steps = Array.from({ length: Math.ceil(totalSteps / stride) }, (_, i) => i * stride);
  const curves = baseRates.map((rate) => steps.map((step) => schedule(step, rate)));
  const max = Math.max(...curves.flat()) * 1.05 || 1;
  const toX = (step: number): number => round(left + (step / Math.max(totalSteps - 1, 1)) * width);
  const toY = (rate: number): number => round(top + height - (rate / max) * height);
  const yTicks = [0, 0.25, 0.5, 0.75, 1].map((share) => (share * max) / 1.05);
  const xTicks = [0, 0.25, 0.5, 0.75, 1].map((share) => Math.round(share * (totalSteps - 1)));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="700" height="380" viewBox="0 0 700 380" font-family="${fontFamily}" font-size="11">`,
    '<rect width="700" height="380" fill="#ffffff"/>',
    label(left + width / 2, top - 18, title, 'middle', 14),
    ...yTicks.map((rate) => `<path d="M${left} ${toY(rate)}h${width}" stroke="#eeeeee"/>`),
    ...yTicks.map((rate) => label(left - 6, toY(rate) + 4, rate === 0 ? '0' : rate.toExponential(2), 'end')),
    ...xTicks.map((step) => label(toX(step), top + height + 16, String(step), 'middle')),
    label(left + width / 2, top + height + 38, 'Step', 'middle'),
    `<rect x="${left}" y="${top}" width="${width}" height="${height}" fill="none" stroke="#999999"/>`,
    ...curves.map((curve, k) => {
      const points = curve.map((rate, i) => `${toX(steps[i]!)} ${toY(rate)}`).join('L');
      return `<path d="M${points}" fill="none" stroke="${colours[k % colours.length]}" stroke-width="1.5"/>`;
    }),
    '</svg>',
  ].join('\n');
}

function label(x: number, y: number, content: string, anchor: 'middle' | 'end', size = 11): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x}" y="${y}" text-anchor="${anchor}" font-size="${size}" fill="#222222">${escaped}</text>`;
}

const round = (value: number): number => Math.round(value * 100) / 100;

const isWhole = (x: number): boolean => Number.isSafeInteger(x) && x >= 1;

function assertPlot({ totalSteps, baseRates }: SchedulePlot): void {
  assertNumber('totalSteps', totalSteps, isWhole, 'a whole number of at least 1');
  for (const rate of baseRates) assertNumber('baseRates', rate, (x) => x >= 0, 'a rate of at least 0');
  if (baseRates.length > 0) return;
  throw optionError('baseRates', baseRates, 'There is no rate to plot.', 'Pass one rate a parameter group.');
}
