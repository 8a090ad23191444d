import { assertNumber } from './internal/numbers.ts';
import { assertDtype, roundTo } from './internal/rounding.ts';
import type { FloatDtype } from './internal/rounding.ts';

/** Number of steps of the training schedule. */
export const SCHEDULE_STEPS = 1000;

/**
 * Noise levels of the training schedule, float32: `σ_i = 1 − i/1000` for i = 0…1000, noisiest first.
 *
 * Rounded as `torch.linspace(1, 0, 1001)` rounds: from the start in the first half, from the end in the second.
 */
export const scheduleSigmas: Float32Array = Float32Array.from({ length: SCHEDULE_STEPS + 1 }, (_, i) => {
  const step = Math.fround(-1 / SCHEDULE_STEPS);
  return i < SCHEDULE_STEPS / 2 ? 1 + step * i : -step * (SCHEDULE_STEPS - i);
});

/** Timesteps of the training schedule, float32: `1000·σ_i` for i = 0…999. Several hundred are no whole numbers. */
export const scheduleTimesteps: Float32Array = scheduleSigmas
  .subarray(0, SCHEDULE_STEPS)
  .map((sigma) => SCHEDULE_STEPS * sigma);

/**
 * Noise level of the schedule entry nearest to a timestep (the first of two equally near), in the transformer's dtype.
 * Timesteps above 1000 count as 1000.
 *
 * @throws {SamplerError} `BAD_NUMBER`, `SAMPLER_OPTION` for a timestep or a dtype that is none
 */
export function sigmaOfTimestep(timestep: number, dtype: FloatDtype = 'float32'): number {
  assertNumber('timestep', timestep, Number.isFinite, 'a timestep from 0 to 1000');
  assertDtype(dtype);
  const target = Math.fround(timestep);
  let best = 0;
  let smallest = Infinity;
  scheduleTimesteps.forEach((entry, i) => {
    const distance = Math.fround(Math.abs(entry - target));
    if (distance >= smallest) return;
    smallest = distance;
    best = i;
  });
  return roundTo[dtype](scheduleSigmas[best]!);
}
