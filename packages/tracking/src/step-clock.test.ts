import { expect, test } from 'vitest';

import { createStepClock } from './step-clock.ts';

function clockWith(totalSteps: number, stepsBefore?: number) {
  let time = 0;
  const completed = createStepClock(totalSteps, () => time, stepsBefore);
  return (seconds: number, step: number) => {
    time += seconds;
    return completed(step);
  };
}

test('leaves the slow first step out', () => {
  const after = clockWith(10);
  expect(after(60, 1)).toEqual({ secondsPerStep: 60, secondsLeft: 540 });
  expect(after(2, 2)).toEqual({ secondsPerStep: 2, secondsLeft: 16 });
  expect(after(4, 3)).toEqual({ secondsPerStep: 3, secondsLeft: 21 });
});

test('keeps the last answer between steps', () => {
  const after = clockWith(10);
  expect(after(1, 0)).toEqual({ secondsPerStep: Number.NaN, secondsLeft: Number.NaN });
  const first = after(1, 1);
  expect(after(5, 1)).toEqual(first);
});

test('counts from the step a run starts at', () => {
  const after = clockWith(10, 4);
  expect(after(3, 5)).toEqual({ secondsPerStep: 3, secondsLeft: 15 });
});
