import { unknownName } from './errors.ts';
import type { Schedule } from './factors.ts';
import { assertNumber, assertSpan, assertStep } from './internal/numbers.ts';

export interface WarmupStableDecayOptions {
  readonly warmupSteps: number;
  readonly decaySteps: number;
  readonly totalSteps: number;
  /** default `linear` */
  readonly warmupType?: Shape;
  /** default `cosine` */
  readonly decayType?: Shape;
  /** share of the rate at both ends, default 0 */
  readonly minLrRatio?: number;
  /** number of half waves of the cosine decay, default 1 */
  readonly numCycles?: number;
}

export const shapes = ['linear', 'cosine', '1-sqrt'] as const;

export type Shape = (typeof shapes)[number];

/**
 * Warm-up, plateau of 1, then a decay over the last D steps (Hu et al. 2024, arXiv 2404.06395, §4).
 *
 *     rising with q:   linear q,       cosine ½(1 − cos πq),    1-sqrt 1 − √(1 − q)
 *     falling with q:  linear 1 − q,   cosine ½(1 + cos πnq),   1-sqrt 1 − √q
 *
 * where q is the progress in each part; both are mapped to `x·(1 − m) + m`.
 *
 * @throws {ScheduleError} `SCHEDULE_OPTION` for numbers that give no schedule, `UNKNOWN_ARGUMENT` for an unknown shape
 */
export function warmupStableDecay({
  warmupSteps,
  decaySteps,
  totalSteps,
  warmupType = 'linear',
  decayType = 'cosine',
  minLrRatio = 0,
  numCycles = 1,
}: WarmupStableDecayOptions): Schedule {
  assertSpan({ warmupSteps, totalSteps });
  assertNumber('decaySteps', decaySteps, (x) => x >= 0, 'a number of steps');
  assertNumber('minLrRatio', minLrRatio, (x) => x >= 0 && x <= 1, 'a number from 0 to 1');
  assertNumber('numCycles', numCycles, (x) => x > 0, 'a positive number');
  for (const [option, shape] of Object.entries({ warmupType, decayType })) assertShape(option, shape);
  const decayStart = totalSteps - decaySteps;
  const fromMinimum = (x: number): number => Math.max(0, x * (1 - minLrRatio) + minLrRatio);
  return (s) => {
    assertStep(s);
    if (s < warmupSteps) return fromMinimum(rise[warmupType](s / Math.max(1, warmupSteps)));
    if (s < decayStart) return 1;
    if (s < totalSteps) return fromMinimum(fall[decayType]((s - decayStart) / Math.max(1, decaySteps), numCycles));
    return minLrRatio;
  };
}

function assertShape(option: string, shape: string): void {
  if ((shapes as readonly string[]).includes(shape)) return;
  throw unknownName('UNKNOWN_ARGUMENT', option, String(shape), `${option} = "${String(shape)}" is no shape.`, shapes);
}

const rise: Record<Shape, (q: number) => number> = {
  linear: (q) => q,
  cosine: (q) => 0.5 * (1 - Math.cos(Math.PI * q)),
  '1-sqrt': (q) => 1 - Math.sqrt(1 - q),
};

const fall: Record<Shape, (q: number, numCycles: number) => number> = {
  linear: (q) => 1 - q,
  cosine: (q, numCycles) => 0.5 * (1 + Math.cos(Math.PI * numCycles * q)),
  '1-sqrt': (q) => 1 - Math.sqrt(q),
};
