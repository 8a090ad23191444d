/** How long steps take. */
export interface StepTiming {
  readonly secondsPerStep: number;
  /** Time until the last step at this pace. */
  readonly secondsLeft: number;
}

/**
 * Measures seconds per optimizer step. The first step is left out as soon as there is a second one: it loads and prepares
 * what later steps reuse.
 *
 * @param totalSteps optimizer steps of the run
 * @param now seconds on any clock that does not jump, e.g. `() => performance.now() / 1000`
 * @param stepsBefore completed steps at the start
 * @returns to be called with the number of completed steps
 */
export function createStepClock(
  totalSteps: number,
  now: () => number,
  stepsBefore = 0,
): (completedSteps: number) => StepTiming {
  let since = { time: now(), steps: stepsBefore };
  let isFirst = true;
  let latest: StepTiming = { secondsPerStep: Number.NaN, secondsLeft: Number.NaN };
  return (completedSteps) => {
    const steps = completedSteps - since.steps;
    if (steps <= 0) return latest;
    const time = now();
    const secondsPerStep = (time - since.time) / steps;
    if (isFirst) since = { time, steps: completedSteps };
    isFirst = false;
    latest = { secondsPerStep, secondsLeft: secondsPerStep * Math.max(0, totalSteps - completedSteps) };
    return latest;
  };
}
