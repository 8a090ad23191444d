import { describe, expect, test } from 'vitest';

import * as schedulers from '../src/index.ts';

const notNumbers = [Number.NaN, Infinity, -Infinity];
const { parseStepCount, resolveStepCount, createSchedule, createRateCursor, scheduleText, scheduleSvg } = schedulers;
const { constant, constantWithWarmup, cosine, cosineWithMinLr, cosineWithRestarts, inverseSqrt, linear } = schedulers;
const { polynomial, warmupStableDecay, piecewiseConstant, rex, rexCurve } = schedulers;
const span = { warmupSteps: 2, totalSteps: 10 };
const flat = () => 1;

/** Every factory with spans and numbers of its own. */
const factories: Readonly<Record<string, (more: object) => (step: number, rate: number) => number>> = {
  constantWithWarmup: (more) => constantWithWarmup({ ...span, ...more }),
  linear: (more) => linear({ ...span, ...more }),
  cosine: (more) => cosine({ ...span, ...more }),
  cosineWithRestarts: (more) => cosineWithRestarts({ ...span, ...more }),
  cosineWithMinLr: (more) => cosineWithMinLr({ ...span, minLrRatio: 0.1, ...more }),
  polynomial: (more) => polynomial({ ...span, learningRate: 1e-3, ...more }),
  inverseSqrt: (more) => inverseSqrt({ ...span, ...more }),
  warmupStableDecay: (more) => warmupStableDecay({ ...span, decaySteps: 2, ...more }),
  rexCurve: (more) => rexCurve({ ...span, ...more }),
  rex: (more) => rex({ ...span, learningRate: 1e-3, ...more }),
};

type Case = readonly [what: string, call: () => unknown];
const torch = (className: string, args: object) => () =>
  createSchedule({ className, args: { ...args }, learningRate: 1, totalSteps: 10 })(3, 1);

const cases: readonly Case[] = [
  ...['-5', '-5%', '-0.1', '', '%', 'ten', '1e999', 'NaN'].map((text): Case => [
    `"${text}" as a count`,
    () => parseStepCount(text),
  ]),
  ...[-1, ...notNumbers].flatMap((n): Case[] => [
    [`${n} steps`, () => resolveStepCount({ steps: n }, 10)],
    [`a share of ${n}`, () => resolveStepCount({ share: n }, 10)],
    [`a rate of ${n} at the start`, () => createRateCursor(flat, [1e-4, n])],
    [`a learning rate of ${n}`, () => createSchedule({ learningRate: n, totalSteps: 10 })],
    [`a run of ${n} steps`, () => createSchedule({ learningRate: 1, totalSteps: n })],
    [`a group's rate of ${n}`, () => createSchedule({ learningRate: 1, totalSteps: 10 })(0, n)],
    ...Object.entries(factories).flatMap(([name, make]): Case[] => [
      [`${name} with a warm-up of ${n}`, () => make({ warmupSteps: n })],
      [`${name} at step ${n}`, () => make({})(n, 1)],
    ]),
    ...Object.entries(factories).flatMap(([name, make]): Case[] =>
      name === 'constantWithWarmup' || name === 'inverseSqrt'
        ? []
        : [[`${name} of ${n} steps`, () => make({ totalSteps: n })]],
    ),
    [`constant at step ${n}`, () => constant()(n)],
    [`pieces at step ${n}`, () => piecewiseConstant('1:10,0.1')(n)],
    [`a decay of ${n} steps`, () => factories['warmupStableDecay']!({ decaySteps: n })],
    [`a smallest share of ${n}`, () => factories['cosineWithMinLr']!({ minLrRatio: n })],
    [`a power of ${n}`, () => factories['polynomial']!({ power: n })],
    [`a timescale of ${n}`, () => factories['inverseSqrt']!({ timescale: n })],
    [`a rex_alpha of ${n}`, () => rexCurve({ ...span, alpha: n })],
    [`a plot of ${n} steps`, () => scheduleText({ schedule: flat, totalSteps: n, baseRates: [1] })],
    [`a picture of ${n} steps`, () => scheduleSvg({ schedule: flat, totalSteps: n, baseRates: [1] })],
    [`a plot of ${n} lines`, () => scheduleText({ schedule: flat, totalSteps: 3, baseRates: [1] }, n)],
  ]),
  ['a plot of no rate', () => scheduleText({ schedule: flat, totalSteps: 3, baseRates: [] })],
  ['rex_alpha + rex_beta = 0', () => rex({ ...span, learningRate: 1, alpha: 0.1, beta: -0.1 })],
  ['an unknown shape', () => warmupStableDecay({ ...span, decaySteps: 1, decayType: 'square' as 'linear' })],
  ['pieces of infinity', () => piecewiseConstant('Infinity:10,0.1')],
  ['CosineAnnealingLR of no period', torch('CosineAnnealingLR', { T_max: 0 })],
  ['StepLR of no size', torch('StepLR', { step_size: 0 })],
  ['PolynomialLR of no length', torch('PolynomialLR', { total_iters: 0 })],
  ['LinearLR of no length', torch('LinearLR', { total_iters: 0 })],
  ['MultiStepLR at NaN', torch('MultiStepLR', { milestones: [Number.NaN] })],
  ['OneCycleLR of no length', torch('OneCycleLR', { max_lr: 1, total_steps: 0, cycle_momentum: false })],
];

describe('is refused with what to do', () => {
  test.each(cases)('%s', (_, call) => {
    expect(call).toThrow(expect.objectContaining({ name: 'ScheduleError', remedy: expect.stringMatching(/\w/) }));
  });
});

test('every factory gives numbers from 0 to beyond the end', () => {
  for (const [name, make] of Object.entries(factories)) {
    const rates = Array.from({ length: 15 }, (_, step) => make({})(step, 1e-3));
    expect(rates.every(Number.isFinite), name).toBe(true);
  }
});
