import { quantile } from './distributions.ts';
import type { LatentSize } from './distributions.ts';
import { SCHEDULE_STEPS } from './flow-schedule.ts';
import type { SamplerSettings } from './options.ts';
import { findSampler } from './registry.ts';
import { probit } from './probit.ts';
import { sigmaBase, sigmaDensity } from './sigma-sampler.ts';

/** The share of noise levels up to t, from 0 to 1. */
export type Cumulative = (t: number) => number;

/**
 * The distribution that a sampler should show, computed from its quantile functions instead of draws: parts of a mixture by
 * their shares, the range squeezed or cut out. Bucketing does not change it.
 *
 * @throws {SamplerError} as `createTimestepSampler`; `BAD_NUMBER` for a size that is none
 * @returns cumulative distribution of the noise level t ∈ [0, 1]; not a number when the range holds nothing
 */
export function expectedDistribution(settings: SamplerSettings, size: LatentSize): Cumulative {
  const { components } = findSampler(settings.timestepSampling);
  if (components === null) return scheduleDistribution(settings);
  let from = 0;
  const parts = components(settings, size).map((part) => {
    const until = Math.min(part.until, 1);
    const share = until - from;
    from = until;
    return { share, cumulative: invert(quantile(part)) };
  });
  const whole: Cumulative = (t) => parts.reduce((sum, { share, cumulative }) => sum + share * cumulative(t), 0);
  return inRange(whole, settings);
}

function inRange(whole: Cumulative, settings: SamplerSettings): Cumulative {
  const low = settings.minTimestep / 1000;
  const high = settings.maxTimestep / 1000;
  if (!settings.preserveDistributionShape) {
    return (t) => (high === low ? Number(t >= low) : whole((t - low) / (high - low)));
  }
  const [below, upTo] = [whole(low), whole(high)];
  return (t) => (whole(Math.min(Math.max(t, low), high)) - below) / (upTo - below);
}

/** `sigma`: the share of positions whose schedule entry is at most as noisy; entry 0 is the noisiest. */
function scheduleDistribution(settings: SamplerSettings): Cumulative {
  const { minTimestep, maxTimestep } = settings;
  const position = invert((u) => {
    return sigmaDensity(
      sigmaBase(settings) === 'normal' ? probit(Math.min(Math.max(u, 1e-12), 1 - 1e-12)) : u,
      settings,
    );
  });
  return (t) => {
    // Entry i has the noise level 1 − i/1000 and takes positions from (i − min)/(max − min) on.
    const firstEntry = Math.ceil(SCHEDULE_STEPS * (1 - t) - 1e-6);
    return 1 - position((firstEntry - minTimestep) / Math.max(maxTimestep - minTimestep, 1e-9));
  };
}

/** The measure of `{u : q(u) ≤ x}` for a monotone q on [0, 1], by bisection. */
function invert(q: (u: number) => number): Cumulative {
  const isRising = q(1 - 1e-9) >= q(1e-9);
  return (x) => {
    let [low, high] = [0, 1];
    for (let i = 0; i < 40; i++) {
      const middle = (low + high) / 2;
      if (q(middle) <= x === isRising) low = middle;
      else high = middle;
    }
    // Beyond the range of q the ends are hit exactly.
    const u = high <= 2 ** -38 ? 0 : low >= 1 - 2 ** -38 ? 1 : (low + high) / 2;
    return isRising ? u : 1 - u;
  };
}
