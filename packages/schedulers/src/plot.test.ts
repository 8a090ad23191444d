import { expect, test } from 'vitest';

import { createSchedule, scheduleNames, scheduleSvg, scheduleText } from './index.ts';

const linear = createSchedule({ name: 'linear', learningRate: 1e-3, totalSteps: 100, warmup: { steps: 20 } });

test('as text, a line for each part of the run', () => {
  expect(scheduleText({ schedule: linear, totalSteps: 100, baseRates: [1e-3] }, 5, 20)).toMatchInlineSnapshot(`
    [
      "  0- 19: 4.500e-4 ##########",
      " 20- 39: 8.875e-4 ####################",
      " 40- 59: 6.375e-4 ##############",
      " 60- 79: 3.875e-4 #########",
      " 80- 99: 1.375e-4 ###",
    ]
  `);
});

test('as text, no more lines than steps, and none for a rate of 0', () => {
  const lines = scheduleText({ schedule: () => 0, totalSteps: 3, baseRates: [1] });
  expect(lines).toEqual(['0-0: 0.000e+0', '1-1: 0.000e+0', '2-2: 0.000e+0']);
});

test('as a picture, a curve for each group', () => {
  const svg = scheduleSvg({ schedule: linear, totalSteps: 100, baseRates: [1e-3, 4e-3], title: 'a < b & c' }, 'Inter');
  expect(svg.match(/stroke-width="1\.5"/g)).toHaveLength(2);
  expect(svg).toContain('>a &lt; b &amp; c</text>');
  expect(svg).toContain('>4.00e-3</text>');
  expect(svg).not.toMatch(/NaN|Infinity/);
});

test.each(scheduleNames)('%s can be drawn, also for a single step', (name) => {
  for (const totalSteps of [1, 40, 5000]) {
    const schedule = createSchedule({
      name,
      learningRate: 1e-3,
      totalSteps,
      ...(name === 'cosine_with_min_lr' && { minLrRatio: 0.1 }),
      ...(name === 'piecewise_constant' && { args: { step_rules: '1:10,0.1' } }),
    });
    const svg = scheduleSvg({ schedule, totalSteps, baseRates: [1e-3] });
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(scheduleText({ schedule, totalSteps, baseRates: [1e-3] })).toHaveLength(Math.min(25, totalSteps));
  }
});
