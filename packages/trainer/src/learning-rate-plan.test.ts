import { describe, expect, test } from 'vitest';

import { makeConfig } from '../tests/make-config.ts';
import { learningRatePlan } from './learning-rate-plan.ts';

const plan = async (options: string) => {
  const config = await makeConfig(`--learning_rate 1 --max_train_steps 10 ${options}`);
  return learningRatePlan(config, config);
};

describe('the plan', () => {
  test('has the rates of the schedule', async () => {
    const { schedule, ...rest } = await plan('--lr_scheduler linear');
    expect([0, 1, 5].map((step) => schedule(step, 1))).toEqual([1, 0.9, 0.5]);
    expect(rest).toEqual({ totalSteps: 10, baseRates: [1], title: 'linear' });
  });

  test.each([
    ['--network_args loraplus_lr_ratio=4', [1, 4]],
    ['--network_args loraplus_lr_ratio=0', [1]],
    ['--network_module networks.loha --network_args loraplus_lr_ratio=4', [1]],
  ])('has the groups that %s makes', async (options, baseRates) => {
    expect((await plan(options)).baseRates).toEqual(baseRates);
  });

  test('has the given rate throughout for optimizers without a schedule', async () => {
    const { schedule, title } = await plan('--optimizer_type schedulefree.AdamWScheduleFree --lr_scheduler cosine');
    expect([0, 9].map((step) => schedule(step, 1))).toEqual([1, 1]);
    expect(title).toBe('schedulefree.AdamWScheduleFree');
  });

  test('does not exist where the optimizer chooses the rates', async () => {
    await expect(plan('--optimizer_type Adafactor')).rejects.toMatchObject({
      code: 'OPTION_CONFLICT',
      facts: { option: 'show_lr_schedule' },
    });
    const given = await plan('--optimizer_type Adafactor --optimizer_args relative_step=False');
    expect(given.baseRates).toEqual([1]);
  });
});
