import { createOptimizer } from '@musubi/optimizers';
import { describe, expect, test } from 'vitest';

import { makeConfig } from '../tests/make-config.ts';
import { learningRates } from './learning-rates.ts';

const plan = { maxTrainSteps: 10 };

async function rates(options: string) {
  const config = await makeConfig(`--learning_rate 1 ${options}`);
  const parameters = [{ name: 'w', data: new Float32Array(1), shape: [1] }];
  const groups = [{ name: 'unet', learningRate: 1, parameters }];
  const optimizer = createOptimizer(config.optimizerType, groups, config.optimizerArgs);
  const schedule = learningRates(config, optimizer, plan);
  return [0, 1, 5, 10].map((step) => schedule(step, config.learningRate));
}

describe('the rate of a step', () => {
  test('follows the schedule over all steps of the run', async () => {
    expect(await rates('--lr_scheduler linear')).toEqual([1, 0.9, 0.5, 0]);
  });

  test('warms up over a share of them', async () => {
    expect(await rates('--lr_scheduler constant_with_warmup --lr_warmup_steps 0.2')).toEqual([0, 0.5, 1, 1]);
  });

  test("comes from PyTorch's own class where one is named", async () => {
    const options = '--lr_scheduler_type StepLR --lr_scheduler_args step_size=4 gamma=0.5';
    expect(await rates(`${options} --lr_scheduler cosine`)).toEqual([1, 1, 0.5, 0.25]);
  });

  test('is the given one for optimizers without a schedule, whatever lr_scheduler says', async () => {
    const options = '--optimizer_type schedulefree.AdamWScheduleFree --lr_scheduler cosine';
    expect(await rates(`${options} --lr_warmup_steps 3`)).toEqual([1, 1, 1, 1]);
  });

  test('follows the schedule for Adafactor without its own rates', async () => {
    const options = '--optimizer_type Adafactor --optimizer_args relative_step=False';
    expect(await rates(`${options} --lr_scheduler linear`)).toEqual([1, 0.9, 0.5, 0]);
  });
});

describe('Adafactor with its own rates', () => {
  test('takes no schedule, also under the name that the original gives it', async () => {
    expect(await rates('--optimizer_type Adafactor --lr_scheduler adafactor')).toEqual([1, 1, 1, 1]);
  });

  test('refuses a warm-up', async () => {
    await expect(rates('--optimizer_type Adafactor --lr_warmup_steps 5')).rejects.toMatchObject({
      code: 'OPTION_CONFLICT',
      facts: { option: 'lr_warmup_steps' },
      message:
        'lr_warmup_steps = 5, but Adafactor chooses its learning rates itself. Remove lr_warmup_steps, or add relative_step=False to optimizer_args.',
    });
  });
});
