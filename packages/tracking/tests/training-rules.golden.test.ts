import { describe, expect, test } from 'vitest';

import { isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { createLossAverage, stepLogs } from '../src/index.ts';

interface StepLogCase {
  last_lr: number[];
  descriptions: string[] | null;
  current_loss: number;
  average_loss: number;
  keys_scaled?: number;
  mean_norm?: number;
  maximum_norm?: number;
  opt_groups?: { lr: number; d: number; effective_lr?: number }[];
  logs: Record<string, number>;
}

const rules = readGoldenJson<{
  loss_recorder: [epoch: number, position: number, loss: number, average: number][][];
  step_logs: StepLogCase[];
}>('files', 'training_rules.json');

test('there are cases', () => {
  if (isDefaultGolden) expect(Math.min(rules.loss_recorder.length, rules.step_logs.length)).toBeGreaterThan(0);
});

describe('loss average', () => {
  test.each(rules.loss_recorder.map((rows, index) => ({ index, rows })))('run $index, bit for bit', ({ rows }) => {
    const average = createLossAverage();
    expect(rows.map(([, position, loss]) => average.add(position, loss))).toEqual(
      rows.map(([, , , expected]) => expected),
    );
  });
});

describe('step logs', () => {
  test.each(rules.step_logs.map((golden, index) => ({ index, golden })))('case $index', ({ golden }) => {
    const { keys_scaled: keysScaled, mean_norm: mean = 0, maximum_norm: maximum = 0 } = golden;
    expect(
      stepLogs({
        loss: golden.current_loss,
        averageLoss: golden.average_loss,
        learningRates: golden.last_lr,
        groupNames: golden.descriptions,
        adaptive: adaptiveOf(golden),
        weightNorms: keysScaled === undefined ? null : { keysScaled, mean, maximum },
      }),
    ).toEqual(golden.logs);
  });
});

/** Where the file does not hold the optimizer's estimate, only the name is checked: the value is taken from the result. */
function adaptiveOf({ opt_groups: groups, descriptions, last_lr: rates, logs }: StepLogCase) {
  if (groups) {
    return groups.map(({ lr: rate, d, effective_lr: effectiveRate }) => ({
      d,
      rate,
      ...(effectiveRate === undefined ? {} : { effectiveRate }),
    }));
  }
  const estimates = rates.map((_, index) => logs[`lr/d*lr/${descriptions?.[index] ?? 'unet'}`]);
  return estimates.every((d) => d !== undefined) ? estimates.map((d) => ({ d, rate: 1 })) : null;
}
