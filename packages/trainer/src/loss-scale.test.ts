import { describe, expect, test } from 'vitest';

import { fakeRun } from '../tests/fake-run.ts';
import { createLossScale } from './loss-scale.ts';
import { type BatchReport, train } from './train.ts';

describe('the loss scale', () => {
  test('is halved by an overflow, and doubled after 2000 finite steps in a row', () => {
    const scale = createLossScale();
    expect(scale.value).toBe(65536);
    for (let i = 0; i < 1999; i++) scale.update(true);
    scale.update(false);
    expect(scale.value).toBe(32768);
    for (let i = 0; i < 1999; i++) scale.update(true);
    expect(scale.value).toBe(32768);
    scale.update(true);
    expect(scale.value).toBe(65536);
  });

  test('divides gradients without rounding', () => {
    const scale = createLossScale();
    const values = Float32Array.of(1 / 3, -Math.PI, 1e-30);
    const gradients = new Map([['w', values.map((x) => x * scale.value)]]);
    scale.unscale(gradients);
    expect(gradients.get('w')).toEqual(values);
  });

  test('is at least 1: gradients that overflow with that one do so without it', () => {
    const scale = createLossScale(2);
    expect(scale.update(false)).toBe(true);
    expect(scale.update(false)).toBe(false);
    expect(scale.value).toBe(1);
  });
});

/** A graph whose gradient, the weight itself, overflows from `largest` on. */
async function record(largest: number, options: Parameters<typeof fakeRun>[0] = {}) {
  const reports: BatchReport[] = [];
  const skipped: [step: number, scale: number][] = [];
  const hooks = {
    onBatch: (report: BatchReport) => void reports.push(report),
    onSkippedStep: ({ step }: { step: number }, scale: number) => void skipped.push([step, scale]),
  };
  const { run, weight } = fakeRun({ maxTrainSteps: 4, ...options, hooks });
  const scales: number[] = [];
  const scaled = {
    ...run,
    lossScale: createLossScale(),
    run: async (...[feeds, side]: Parameters<typeof run.run>) => {
      const scale = Number(feeds['loss_scale']!.data[0]);
      scales.push(scale);
      const outputs = await run.run(feeds, side);
      const [w] = outputs['grad/w']!.data as Float32Array;
      const data = Float32Array.of(w! * scale >= largest ? Infinity : w! * scale);
      return { ...outputs, 'grad/w': { ...outputs['grad/w']!, data } };
    },
  };
  const outcome = await train(scaled).catch((error: unknown) => error);
  return { outcome, reports, skipped, scales, weight: weight() };
}

describe('a run with a loss scale', () => {
  test('has the steps of one without', async () => {
    const { run, weight } = fakeRun({ maxTrainSteps: 4, gradientAccumulationSteps: 2 });
    await train(run);
    const scaled = await record(Infinity, { gradientAccumulationSteps: 2 });
    expect(scaled.weight).toBe(weight());
    expect(scaled.skipped).toEqual([]);
  });

  test('leaves out steps that overflow, which count but do not move the schedule', async () => {
    const { reports, skipped, scales, weight } = await record(20_000);
    expect(scales).toEqual([65536, 32768, 16384, 16384]);
    expect(skipped).toEqual([
      [1, 32768],
      [2, 16384],
    ]);
    expect(reports.map(({ step }) => step)).toEqual([1, 2, 3, 4]);
    expect(reports.map(({ gradientNorm }) => gradientNorm)).toEqual([null, null, 1, 0.5]);
    // 0.5 / (steps made + 1)
    expect(reports.map(({ stepLearningRates }) => stepLearningRates[0])).toEqual([0.5, 0.5, 0.5, 0.25]);
    expect(weight).toBe(1 - 0.5 - 0.25 * 0.5);
  });

  test('ends when gradients overflow whatever the scale', async () => {
    const { outcome, scales, weight } = await record(0, { maxTrainSteps: 100 });
    expect(outcome).toMatchObject({ code: 'NON_FINITE_GRADIENT' });
    expect(scales).toHaveLength(17);
    expect(scales.at(-1)).toBe(1);
    expect(weight).toBe(1);
  });
});
