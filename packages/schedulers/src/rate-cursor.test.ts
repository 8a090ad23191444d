import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { createRateCursor, createSchedule, scheduleNames, schedules, torchSchedules } from './index.ts';
import type { RateSchedule, ScheduleRequest } from './index.ts';

const needed: Record<string, Partial<ScheduleRequest>> = {
  constant: { warmup: null },
  cosine_with_min_lr: { minLrRatio: 0.1 },
  piecewise_constant: { args: { step_rules: '1:10,0.1' } },
};
const torchArguments: Record<string, Record<string, unknown>> = {
  CosineAnnealingLR: { T_max: 10 },
  CosineAnnealingWarmRestarts: { T_0: 10 },
  StepLR: { step_size: 10 },
  MultiStepLR: { milestones: [5] },
  ExponentialLR: { gamma: 0.9 },
  OneCycleLR: { max_lr: 1e-3, total_steps: 60, cycle_momentum: false },
};

function named(name: string, more: Partial<ScheduleRequest> = {}): RateSchedule {
  const base = { name, learningRate: 1e-3, totalSteps: 50, warmup: { steps: 7 }, decay: { steps: 10 } };
  return createSchedule({ ...base, ...needed[name], ...more });
}

const all: [string, RateSchedule][] = [
  ...scheduleNames.map((name): [string, RateSchedule] => [name, named(name)]),
  ...torchSchedules.map(({ name }): [string, RateSchedule] => [
    name,
    createSchedule({ className: name, args: torchArguments[name] ?? {}, learningRate: 1e-3, totalSteps: 60 }),
  ]),
];

describe.each(all)('%s', (_, schedule) => {
  const baseRates = [1e-3, 4e-3];

  test('goes on alike from a state saved at any step', () => {
    fc.assert(
      fc.property(fc.nat(40), fc.integer({ min: 1, max: 12 }), (before, after) => {
        const whole = createRateCursor(schedule, baseRates);
        for (let i = 0; i < before; i++) whole.advance();
        const saved = JSON.parse(JSON.stringify(whole.state())) as ReturnType<typeof whole.state>;
        const resumed = createRateCursor(schedule, [0, 0]);
        resumed.restore(saved);
        for (let i = 0; i < after; i++) {
          expect(resumed.rates()).toEqual(whole.rates());
          whole.advance();
          resumed.advance();
        }
      }),
    );
  });

  test('is a function of step and rate alone', () => {
    const forwards = Array.from({ length: 50 }, (_unused, s) => schedule(s, 1e-3));
    const backwards = Array.from({ length: 50 }, (_unused, s) => schedule(49 - s, 1e-3)).toReversed();
    expect(backwards).toEqual(forwards);
  });

  test.each([
    [NaN, 1e-3],
    [-1, 1e-3],
    [Infinity, 1e-3],
    [1, NaN],
    [1, -1e-3],
  ])('refuses step %d of a group with the rate %d', (step, rate) => {
    expect(() => schedule(step, rate)).toThrow(expect.objectContaining({ code: 'SCHEDULE_STEP' }));
  });
});

test('a schedule with an end refuses steps behind it', () => {
  const [, oneCycle] = all.find(([name]) => name === 'OneCycleLR')!;
  expect(() => oneCycle(61, 1e-3)).toThrow(expect.objectContaining({ code: 'SCHEDULE_STEP' }));
});

test.each([
  { step: 1.5, baseRates: [1, 1] },
  { step: -1, baseRates: [1, 1] },
  { step: 1, baseRates: [1] },
  { step: 1, baseRates: [1, NaN] },
])('refuses the state %o', (state) => {
  const cursor = createRateCursor((_, rate) => rate, [1, 1]);
  expect(() => cursor.restore(state)).toThrow(expect.objectContaining({ code: 'SCHEDULE_STATE' }));
});

/** The largest change over a billionth of a step, at the ends of all parts and at one step in between. */
const largestChange = (name: string, { warmup, decay, share }: { warmup: number; decay: number; share: number }) => {
  const schedule = named(name, {
    warmup: name === 'constant' ? null : { steps: warmup },
    decay: { steps: decay },
  });
  const changes = [warmup, 50 - decay, 50, 55 * share].map((step) => {
    const before = Math.max(step - 5e-10, 0);
    return Math.abs(schedule(before + 1e-9, 1) - schedule(before, 1));
  });
  return Math.max(...changes);
};

describe('continuity', () => {
  const spans = fc.record({
    warmup: fc.nat(20),
    decay: fc.integer({ min: 1, max: 20 }),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  test.each(schedules.filter(({ isContinuous }) => isContinuous).map(({ name }) => name))('%s has no jump', (name) => {
    // 1 − √q is as steep as √(1e-9) at its start.
    fc.assert(fc.property(spans, (span) => void expect(largestChange(name, span)).toBeLessThan(1e-4)));
  });

  test.each([
    ['cosine_with_restarts', 20, { numCycles: 3, warmup: { steps: 5 } }],
    ['piecewise_constant', 10, {}],
    ['rex', 1, {}],
  ])('%s jumps, as it says', (name, step, more) => {
    expect(schedules.find((schedule) => schedule.name === name)?.isContinuous).toBe(false);
    const schedule = named(name, more);
    expect(Math.abs(schedule(step, 1e-3) - schedule(step - 1e-9, 1e-3))).toBeGreaterThan(1e-4);
  });
});
