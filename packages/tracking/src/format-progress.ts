import type { StepTiming } from './step-clock.ts';

/** The state of a run after a batch. */
export interface Progress extends StepTiming {
  /** Completed optimizer steps. */
  readonly step: number;
  readonly totalSteps: number;
  /** From 1. */
  readonly epoch: number;
  readonly totalEpochs: number;
  /** Loss of the last batch. */
  readonly loss: number;
  readonly averageLoss: number;
  readonly learningRate: number;
}

/** The state of a run that handles items one after another. */
export interface ItemProgress extends StepTiming {
  /** Items done. */
  readonly items: number;
  readonly totalItems: number;
}

/**
 * One line: `steps 10/18   55%  epoch 2/4  loss 0.0831  average 0.0834  lr 1.00e-3  1.23 s/step  0:09 left`, or
 * `items 10/18   55%  0.81 items/s  0:09 left`.
 *
 * @param options.columns width that must not be exceeded; parts at the end are left out first. Default: no limit
 * @param options.colour use ANSI colours, default false
 */
export function formatProgress(
  progress: Progress | ItemProgress,
  options: { columns?: number; colour?: boolean } = {},
): string {
  const parts = 'totalItems' in progress ? itemParts(progress) : stepParts(progress);
  let width = 0;
  const shown = parts.filter((part) => {
    width += part.filter((text) => text !== '').join(' ').length + (width === 0 ? 0 : gap.length);
    return width <= (options.columns ?? Infinity);
  });
  const dim = (text: string): string => (options.colour ? `\u001B[2m${text}\u001B[22m` : text);
  return shown
    .map(([label, value, unit]) =>
      [label && dim(label), value, unit && dim(unit)].filter((text) => text !== '').join(' '),
    )
    .join(gap);
}

type Part = readonly [label: string, value: string, unit: string];

function stepParts(progress: Progress): Part[] {
  const { step, totalSteps, epoch, totalEpochs, loss, averageLoss, learningRate } = progress;
  return [
    ...countParts('steps', step, totalSteps),
    ['epoch', `${epoch}/${totalEpochs}`, ''],
    ['loss', formatLoss(loss), ''],
    ['average', formatLoss(averageLoss), ''],
    ['lr', learningRate === 0 ? '0' : learningRate.toExponential(2), ''],
    ['', formatNumber(progress.secondsPerStep), 's/step'],
    ['', formatDuration(progress.secondsLeft), 'left'],
  ];
}

function itemParts({ items, totalItems, secondsPerStep, secondsLeft }: ItemProgress): Part[] {
  return [
    ...countParts('items', items, totalItems),
    ['', formatNumber(1 / secondsPerStep), 'items/s'],
    ['', formatDuration(secondsLeft), 'left'],
  ];
}

function countParts(label: string, done: number, all: number): Part[] {
  const total = String(all);
  const share = all > 0 ? Math.floor((100 * done) / all) : 100;
  return [
    [label, `${String(done).padStart(total.length)}/${total}`, ''],
    ['', `${String(share).padStart(3)}%`, ''],
  ];
}

/** `0:09`, `12:30`, `1:02:03`, `2d 3:04:05`; `-:--` while it cannot be told. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return '-:--';
  const whole = Math.round(seconds);
  const [days, hours, minutes] = [
    Math.floor(whole / 86_400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
  ];
  const clock = days + hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
  return days > 0 ? `${days}d ${clock}` : clock;
}

const gap = '  ';

const two = (value: number): string => String(value).padStart(2, '0');

/** Four significant digits at least, in a width that hardly changes. */
function formatLoss(loss: number): string {
  if (!Number.isFinite(loss)) return String(loss);
  return Math.abs(loss) >= 1e-3 || loss === 0 ? loss.toFixed(4) : loss.toExponential(2);
}

/** Three significant digits, two decimals at most. */
function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return '-';
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
