import { assertWhole, MagCacheError } from './errors.ts';
import { defaultMagRatios, nearestRatios } from './ratios.ts';

export interface SkipPolicyOptions {
  /** Steps of the sampling loop, at least 1. */
  steps: number;
  /** Magnitude ratios, resampled to `steps` by `nearestRatios`; default those of FramePack. */
  ratios?: readonly number[];
  /** Share of the first steps that is always computed, in [0, 1], default 0.2. */
  retentionRatio?: number;
  /** Largest accumulated error at which a step is still skipped, at least 0, default 0.24. */
  threshold?: number;
  /** Most steps skipped in a row, at least 0, default 6. */
  k?: number;
}

/** What has gathered since the last computed step. */
export interface Accumulators {
  /** Product of the ratios of the skipped steps: estimated magnitude of the true residual over that of the stored one. */
  ratio: number;
  /** Sum of `|1 − ratio|`. */
  error: number;
  /** Skipped steps in a row. */
  steps: number;
}

export interface SkipPolicy {
  /**
   * Decides the next step. Steps run 0, 1, 2, …; step 0 may come at any time and starts a new section.
   *
   * @returns whether to skip the model at this step and reuse the stored residual
   * @throws {MagCacheError} `STEP_ORDER` for a step that is not the next one or lies beyond the schedule
   */
  shouldSkip(step: number): boolean;
  /** The state after the last decision; a computed step has reset it. */
  readonly accumulators: Readonly<Accumulators>;
}

export const magcacheDefaults = { retentionRatio: 0.2, threshold: 0.24, k: 6 } as const;

/**
 * Skip policy of MagCache (Ma et al. 2025, arXiv 2506.09045, §3.3), with ratios `r`, `A = 1`, `E = 0`, `C = 0`:
 *
 *     if  max(⌊retentionRatio · n⌋, 1) ≤ step < n − 1:
 *         A ← A · r[step],  E ← E + |1 − A|,  C ← C + 1
 *         skip if  E ≤ threshold  and  C ≤ k,  else compute and start over from A = 1, E = 0, C = 0
 *
 * The first share of the steps and the last step are always computed.
 *
 * @throws {MagCacheError} `MAGCACHE_OPTION`, `MAG_RATIOS`
 */
export function createSkipPolicy(options: SkipPolicyOptions): SkipPolicy {
  const { steps, retentionRatio, threshold, k } = checkOptions(options);
  const ratios = nearestRatios(options.ratios ?? defaultMagRatios, steps);
  const firstSkippable = Math.max(Math.floor(retentionRatio * steps), 1);
  let state: Accumulators = { ratio: 1, error: 0, steps: 0 };
  let next = 0;

  return {
    shouldSkip(step) {
      assertStep(step, next, steps);
      next = step + 1;
      const ratio = state.ratio * ratios[step]!;
      const reached = { ratio, error: state.error + Math.abs(1 - ratio), steps: state.steps + 1 };
      const skips = step >= firstSkippable && step < steps - 1 && reached.error <= threshold && reached.steps <= k;
      state = skips ? reached : { ratio: 1, error: 0, steps: 0 };
      return skips;
    },
    get accumulators() {
      return state;
    },
  };
}

/**
 * The decisions for a whole schedule, known before it starts since they depend on the ratios alone.
 *
 * @returns `steps` values, true where the step is skipped
 * @throws {MagCacheError} `MAGCACHE_OPTION`, `MAG_RATIOS`
 *
 * @example
 * ```ts
 * import { planSkips } from '@musubi/magcache';
 *
 * console.log(planSkips({ steps: 10 }).map(Number).join('')); // 0011110110
 * ```
 */
export function planSkips(options: SkipPolicyOptions): boolean[] {
  const policy = createSkipPolicy(options);
  return Array.from({ length: options.steps }, (_, step) => policy.shouldSkip(step));
}

/** @throws {MagCacheError} `STEP_ORDER` */
export function assertStep(step: number, next: number, steps: number): void {
  if (step === 0 || (step === next && step < steps)) return;
  const beyond = Number.isInteger(step) && step >= steps;
  throw new MagCacheError(
    'STEP_ORDER',
    beyond
      ? `Step ${step} lies beyond the schedule of ${steps} steps, 0 to ${steps - 1}.`
      : `Step ${step} came where step ${next < steps ? `${next} or ` : ''}0 was due.`,
    beyond
      ? `Set steps to the length of the sampling loop, and start every section with step 0.`
      : 'Give each stream (section, conditional, unconditional) all its steps in order, counted from 0.',
    { option: 'step', value: step },
  );
}

function checkOptions(options: SkipPolicyOptions): Required<Omit<SkipPolicyOptions, 'ratios'>> {
  const { steps, retentionRatio, threshold, k } = {
    steps: options.steps,
    retentionRatio: options.retentionRatio ?? magcacheDefaults.retentionRatio,
    threshold: options.threshold ?? magcacheDefaults.threshold,
    k: options.k ?? magcacheDefaults.k,
  };
  assertWhole('steps', steps, 1);
  assertWhole('k', k, 0);
  if (!(retentionRatio >= 0 && retentionRatio <= 1)) {
    throw new MagCacheError(
      'MAGCACHE_OPTION',
      `retention_ratio = ${retentionRatio} is not a share of the steps.`,
      'Give a number from 0 to 1, usually 0.2.',
      { option: 'retention_ratio', value: retentionRatio },
    );
  }
  if (!(threshold >= 0)) {
    throw new MagCacheError(
      'MAGCACHE_OPTION',
      `threshold = ${threshold} is not an error of 0 or more.`,
      'Give 0 or more, usually 0.06 (careful) to 0.24 (fast).',
      { option: 'threshold', value: threshold },
    );
  }
  return { steps, retentionRatio, threshold, k };
}
