import { sigmoid } from './distributions.ts';
import { SCHEDULE_STEPS, scheduleSigmas, scheduleTimesteps } from './flow-schedule.ts';
import { roundTo } from './internal/rounding.ts';
import type { SamplerSettings } from './options.ts';

const f32 = Math.fround;

/** What the density of a weighting scheme is a function of: a uniform or a standard normal number. */
export function sigmaBase({ weightingScheme }: SamplerSettings): 'uniform' | 'normal' {
  return weightingScheme === 'logit_normal' ? 'normal' : 'uniform';
}

/**
 * Position in the schedule, 0 (noisiest) … 1, as float32 arithmetic gives it (Esser et al. 2024, arXiv 2403.03206, §3.1):
 *
 *     none, cosmap, sigma_sqrt:  u
 *     logit_normal:              σ(logit_mean + logit_std·z)
 *     mode:                      1 − u − mode_scale·(cos²(π·u/2) − 1 + u)
 */
export function sigmaDensity(x: number, { weightingScheme, logitMean, logitStd, modeScale }: SamplerSettings): number {
  if (weightingScheme === 'logit_normal') return f32(sigmoid(f32(logitMean + logitStd * x)));
  if (weightingScheme !== 'mode') return f32(x);
  const cosine = f32(Math.cos(f32(f32(Math.PI * x) / 2)));
  const bump = f32(f32(f32(cosine * cosine) - 1) + x);
  return f32(f32(1 - x) - f32(modeScale * bump));
}

/**
 * The schedule entry at a position: `index = ⌊u·(max − min) + min⌋`.
 *
 * The range limits are limits of the *index*: `max_timestep = 500` trains the noisy half, timesteps 1000 … 501. The last
 * index is 999, also for u = 1.
 *
 * @returns t, the noise level in the transformer's dtype, and the timestep, which is not raised by 1 here
 */
export function sigmaEntry(u: number, settings: SamplerSettings): { index: number; t: number; timestep: number } {
  const { minTimestep, maxTimestep, sigmaDtype } = settings;
  const position = f32(f32(u * (maxTimestep - minTimestep)) + minTimestep);
  const index = Math.min(Math.max(Math.trunc(position), 0), SCHEDULE_STEPS - 1);
  return { index, t: roundTo[sigmaDtype](scheduleSigmas[index]!), timestep: scheduleTimesteps[index]! };
}
