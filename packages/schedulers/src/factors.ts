import { assertNumber, assertSpan, assertStep } from './internal/numbers.ts';

/**
 * Factor on a group's learning rate at an optimizer step, counted from 0. What makes one throws `SCHEDULE_OPTION` for numbers
 * that give none, and it throws `SCHEDULE_STEP` for a step that is none.
 */
export type Schedule = (step: number) => number;

/** Length of the warm-up and of the whole run, in optimizer steps. */
export interface Span {
  readonly warmupSteps: number;
  readonly totalSteps: number;
}

/** `1` */
export function constant(): Schedule {
  return warmUp(0, () => 1);
}

/** Rises in a straight line from 0 at step 0 to 1 at step W, then stays. */
export function constantWithWarmup({ warmupSteps }: Pick<Span, 'warmupSteps'>): Schedule {
  return warmUp(warmupSteps, () => 1);
}

/** After the warm-up a straight line to 0 at the last step: `(T − s) / (T − W)`. */
export function linear({ warmupSteps, totalSteps }: Span): Schedule {
  assertSpan({ warmupSteps, totalSteps });
  return warmUp(warmupSteps, (s) => Math.max(0, (totalSteps - s) / Math.max(1, totalSteps - warmupSteps)));
}

/**
 * After the warm-up a cosine (Loshchilov & Hutter 2016, arXiv 1608.03983, without restarts): `½(1 + cos 2π·c·p)`, where p is
 * the share of the run behind the warm-up.
 *
 * @param numCycles c, default ½: one fall to 0
 */
export function cosine({ warmupSteps, totalSteps, numCycles = 0.5 }: Span & { numCycles?: number }): Schedule {
  assertNumber('numCycles', numCycles, (x) => x > 0, 'a positive number');
  const progress = progressAfter({ warmupSteps, totalSteps });
  return warmUp(warmupSteps, (s) => Math.max(0, 0.5 * (1 + Math.cos(2 * Math.PI * numCycles * progress(s)))));
}

/** Cosine that starts anew n times (Loshchilov & Hutter 2016, arXiv 1608.03983): `½(1 + cos π·((n·p) mod 1))`. */
export function cosineWithRestarts({
  warmupSteps,
  totalSteps,
  numCycles = 1,
}: Span & { numCycles?: number }): Schedule {
  assertNumber('numCycles', numCycles, (x) => x > 0, 'a positive number');
  const progress = progressAfter({ warmupSteps, totalSteps });
  return warmUp(warmupSteps, (s) => {
    const p = progress(s);
    return p >= 1 ? 0 : Math.max(0, 0.5 * (1 + Math.cos(Math.PI * ((numCycles * p) % 1))));
  });
}

/** Cosine that ends at the share m of the rate: `f·(1 − m) + m`, `f = ½(1 + cos π·n·p)`. */
export function cosineWithMinLr({
  warmupSteps,
  totalSteps,
  numCycles = 1,
  minLrRatio,
}: Span & { numCycles?: number; minLrRatio: number }): Schedule {
  assertNumber('numCycles', numCycles, (x) => x > 0, 'a positive number');
  assertNumber('minLrRatio', minLrRatio, (x) => x >= 0 && x <= 1, 'a number from 0 to 1');
  const progress = progressAfter({ warmupSteps, totalSteps });
  return warmUp(warmupSteps, (s) => {
    const f = 0.5 * (1 + Math.cos(Math.PI * numCycles * progress(s)));
    return Math.max(0, f * (1 - minLrRatio) + minLrRatio);
  });
}

/**
 * Power law from the rate L to the rate E: `((L − E)·(1 − p)^power + E) / L`, and `E / L` after the last step.
 *
 * @param learningRate L, above E
 * @param endLearningRate E, default 1e-7
 */
export function polynomial({
  warmupSteps,
  totalSteps,
  learningRate,
  endLearningRate = 1e-7,
  power = 1,
}: Span & { learningRate: number; endLearningRate?: number; power?: number }): Schedule {
  assertNumber('learningRate', learningRate, (x) => x > 0, 'a positive number');
  assertNumber('endLearningRate', endLearningRate, (x) => x >= 0, 'a number of at least 0');
  assertNumber('power', power, (x) => x > 0, 'a positive number');
  const progress = progressAfter({ warmupSteps, totalSteps });
  return warmUp(warmupSteps, (s) => {
    if (s > totalSteps) return endLearningRate / learningRate;
    const remaining = 1 - progress(s);
    return ((learningRate - endLearningRate) * remaining ** power + endLearningRate) / learningRate;
  });
}

/**
 * Inverse square root (Vaswani et al. 2017, arXiv 1706.03762, §5.3): `1 / √((s + τ − W) / τ)`.
 *
 * @param timescale τ in steps; by default W, or 10000 without a warm-up
 */
export function inverseSqrt({
  warmupSteps,
  timescale,
}: Pick<Span, 'warmupSteps'> & { timescale?: number | null }): Schedule {
  assertSpan({ warmupSteps });
  const tau = timescale ?? (warmupSteps || 10_000);
  assertNumber('timescale', tau, (x) => x > 0, 'a positive number');
  return warmUp(warmupSteps, (s) => 1 / Math.sqrt((s + tau - warmupSteps) / tau));
}

function warmUp(warmupSteps: number, after: Schedule): Schedule {
  assertSpan({ warmupSteps });
  return (s) => {
    assertStep(s);
    return s < warmupSteps ? s / Math.max(1, warmupSteps) : after(s);
  };
}

/** Share of the run behind the warm-up, 0 at its end. */
function progressAfter({ warmupSteps, totalSteps }: Span): (step: number) => number {
  assertSpan({ warmupSteps, totalSteps });
  return (s) => (s - warmupSteps) / Math.max(1, totalSteps - warmupSteps);
}
