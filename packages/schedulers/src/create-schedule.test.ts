import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { createSchedule, parseStepCount, resolveStepCount, scheduleNames, torchSchedules } from './index.ts';
import type { ScheduleRequest } from './index.ts';

const needed: Record<string, Partial<ScheduleRequest>> = {
  constant: { warmup: null },
  cosine_with_min_lr: { minLrRatio: 0.1 },
  piecewise_constant: { args: { step_rules: '1:10,0.1' } },
};

function request(name: string, more: Partial<ScheduleRequest> = {}): ScheduleRequest {
  const base = { name, learningRate: 1e-3, totalSteps: 100, warmup: { steps: 10 }, decay: { steps: 20 } };
  return { ...base, ...needed[name], ...more };
}

describe.each(scheduleNames)('%s', (name) => {
  test('gives finite rates of at least 0 up to the base rate, also after the last step', () => {
    const counts = fc.record({ warmup: fc.nat(100), total: fc.integer({ min: 1, max: 100 }), step: fc.nat(150) });
    fc.assert(
      fc.property(counts, ({ warmup, total, step }) => {
        const steps = { steps: Math.min(warmup, total) };
        const schedule = createSchedule(
          request(name, { totalSteps: total, ...(name !== 'constant' && { warmup: steps }) }),
        );
        const rate = schedule(step, 1e-3);
        expect(rate >= 0 && rate <= 1e-3 * (1 + 1e-12)).toBe(true);
      }),
    );
  });

  test('keeps the ratio of groups behind the warm-up', () => {
    const schedule = createSchedule(request(name));
    for (const step of [10, 37, 99]) expect(schedule(step, 4e-3)).toBeCloseTo(4 * schedule(step, 1e-3), 15);
  });

  test('names an argument that it does not take', () => {
    expect(() => createSchedule(request(name, { args: { nonsense: 1 } }))).toThrow(
      expect.objectContaining({ code: 'UNKNOWN_ARGUMENT', option: 'nonsense' }),
    );
  });
});

test('rex_corrected rises from the minimum to the rate and falls back', () => {
  const schedule = createSchedule(request('rex_corrected', { args: { rex_alpha: 0.5, rex_beta: 0.8 } }));
  const rates = Array.from({ length: 101 }, (_, step) => schedule(step, 1e-3));
  expect(rates[0]).toBeCloseTo(1e-5, 12);
  expect(rates[10]).toBeCloseTo(1e-3, 12);
  expect(rates[100]).toBeCloseTo(1e-5, 12);
  expect(rates.every((rate, s) => s === 0 || (s <= 10 ? rate > rates[s - 1]! : rate < rates[s - 1]!))).toBe(true);
});

describe('refusals', () => {
  test.each<[string, Partial<ScheduleRequest>]>([
    ['UNKNOWN_SCHEDULE', { name: 'cosin' }],
    ['UNKNOWN_SCHEDULE', { className: 'CosineLR' }],
    ['UNSUPPORTED_SCHEDULE', { name: 'adafactor:0.001' }],
    ['UNSUPPORTED_SCHEDULE', { className: 'OneCycleLR', args: { max_lr: 1e-3, total_steps: 100 } }],
    ['UNKNOWN_ARGUMENT', { name: 'rex', args: { alpha: 0.1 } }],
    ['SCHEDULE_OPTION', { name: 'constant' }],
    ['SCHEDULE_OPTION', { name: 'rex', args: { rex_alpha: 0 } }],
    ['SCHEDULE_OPTION', { name: 'rex', args: { rex_alpha: 'x' } }],
    ['SCHEDULE_OPTION', { name: 'piecewise_constant' }],
    ['SCHEDULE_OPTION', { name: 'piecewise_constant', args: { step_rules: '1:10,0.1:x,2' } }],
    ['SCHEDULE_OPTION', { name: 'piecewise_constant', args: { step_rules: '1:10,' } }],
    ['SCHEDULE_OPTION', { name: 'warmup_stable_decay', args: { decay_type: 'sqrt' } }],
    ['SCHEDULE_OPTION', { name: 'linear', learningRate: Number.NaN }],
    ['SCHEDULE_OPTION', { name: 'linear', totalSteps: 0 }],
    ['SCHEDULE_OPTION', { name: 'linear', warmup: { share: -0.5 } }],
    ['SCHEDULE_OPTION', { className: 'StepLR' }],
    ['SCHEDULE_OPTION', { className: 'MultiStepLR', args: { milestones: 10 } }],
    ['SCHEDULE_OPTION', { className: 'CosineAnnealingWarmRestarts', args: { T_0: 0 } }],
  ])('%s: %o', (code, more) => {
    expect(() => createSchedule(request('linear', more))).toThrow(expect.objectContaining({ code }));
  });

  test('a wrong name is answered with the nearest', () => {
    expect(() => createSchedule(request('cosine_with_restart'))).toThrowErrorMatchingInlineSnapshot(
      `[ScheduleError: lr_scheduler = "cosine_with_restart" is not a schedule. Did you mean "cosine_with_restarts"? Known: constant, constant_with_warmup, linear, cosine, cosine_with_restarts, polynomial, inverse_sqrt, cosine_with_min_lr, warmup_stable_decay, piecewise_constant, rex, rex_corrected.]`,
    );
  });

  test('a warm-up for constant says what to use', () => {
    expect(() => createSchedule(request('linear', { name: 'constant' }))).toThrowErrorMatchingInlineSnapshot(
      `[ScheduleError: lr_scheduler = "constant" takes no warm-up, but lr_warmup_steps is 10. Use constant_with_warmup, or remove lr_warmup_steps.]`,
    );
  });

  test('a missing argument says what to add', () => {
    expect(() => createSchedule(request('linear', { className: 'StepLR' }))).toThrowErrorMatchingInlineSnapshot(
      `[ScheduleError: lr_scheduler_args: StepLR needs step_size. Add step_size=… with a number to lr_scheduler_args.]`,
    );
  });
});

test.each(torchSchedules.map(({ name }) => name))('%s is found under its full path', (name) => {
  const args = {
    ...(['CosineAnnealingLR'].includes(name) && { T_max: 10 }),
    ...(name === 'CosineAnnealingWarmRestarts' && { T_0: 10 }),
    ...(name === 'StepLR' && { step_size: 10 }),
    ...(name === 'MultiStepLR' && { milestones: [5] }),
    ...(name === 'ExponentialLR' && { gamma: 0.9 }),
    ...(name === 'OneCycleLR' && { max_lr: 1e-3, total_steps: 100, cycle_momentum: false }),
  };
  const className = `torch.optim.lr_scheduler.${name}`;
  const schedule = createSchedule({ className, args, learningRate: 1e-3, totalSteps: 100 });
  expect(Number.isFinite(schedule(7, 1e-3))).toBe(true);
});

describe('step counts', () => {
  test.each([
    ['250', 250],
    ['0.1', 100],
    ['10%', 100],
    ['0', 0],
    ['0.0159', 15],
  ])('"%s" of a run of 1000 is %d', (text, steps) => {
    expect(resolveStepCount(parseStepCount(text), 1000)).toBe(steps);
  });
});
