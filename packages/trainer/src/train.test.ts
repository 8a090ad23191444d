import type { HostTensor } from '@musubi/onnx-graph';

import type { BatchReport, TrainingHooks } from './train.ts';

import { describe, expect, test } from 'vitest';

import { type FakeRunOptions, fakeRun } from '../tests/fake-run.ts';
import { train } from './train.ts';

/** Runs with hooks that write down when they are called. */
async function record(options: FakeRunOptions) {
  const calls: string[] = [];
  const hooks: TrainingHooks = {
    ...options.hooks,
    onEpochStart: (epoch) => calls.push(`epoch ${epoch}`),
    onStep: async ({ step, epoch }) => void calls.push(`step ${step} in ${epoch}`),
    onBatch: ({ microStep, completesStep }) => void calls.push(`batch ${microStep}${completesStep ? '' : ' …'}`),
    onEpochEnd: async ({ step, epoch }) => void calls.push(`end ${epoch} at ${step}`),
    onFailure: async ({ step, epoch }) => void calls.push(`failed, ${step} in ${epoch}`),
  };
  const made = fakeRun({ ...options, hooks });
  const result = train(made.run);
  const outcome = await result.catch((error: unknown) => error);
  return { ...made, calls, outcome };
}

describe('the order of a run', () => {
  test('a step is saved before its batch is reported, an epoch after its last batch', async () => {
    const { calls, outcome } = await record({ batchesPerEpoch: 2, maxTrainEpochs: 2 });
    expect(calls.join(', ')).toBe(
      'epoch 1, step 1 in 1, batch 1, step 2 in 1, batch 2, end 1 at 2, ' +
        'epoch 2, step 3 in 2, batch 3, step 4 in 2, batch 4, end 2 at 4',
    );
    expect(outcome).toEqual({ status: 'completed', step: 4, epoch: 2, averageLoss: expect.any(Number) });
  });

  test('the last group of an epoch may be smaller, and the count starts anew with the next', async () => {
    const { calls } = await record({ batchesPerEpoch: 3, gradientAccumulationSteps: 2, maxTrainEpochs: 2 });
    expect(calls.filter((call) => /^(batch|step)/.test(call)).join(', ')).toBe(
      'batch 1 …, step 1 in 1, batch 2, step 2 in 1, batch 3, batch 4 …, step 3 in 2, batch 5, step 4 in 2, batch 6',
    );
  });

  test('a run that ends inside an epoch ends that epoch', async () => {
    const { calls, outcome } = await record({ batchesPerEpoch: 4, maxTrainSteps: 1 });
    expect(calls).toEqual(['epoch 1', 'step 1 in 1', 'batch 1', 'end 1 at 1']);
    expect(outcome).toMatchObject({ status: 'completed', step: 1, epoch: 1 });
  });
});

describe('a step', () => {
  test('moves the weights once, by the sum of the shares', async () => {
    const { seen, weight } = await record({
      batchesPerEpoch: 3,
      gradientAccumulationSteps: 2,
      maxTrainEpochs: 1,
      compute: (batch) => ({ loss: 1, gradient: batch }),
    });
    const afterFirst = 1 - 0.5 * ((1 + 2) / 2);
    expect(seen).toEqual([1, 1, afterFirst]);
    expect(weight()).toBe(Math.fround(afterFirst - (0.5 / 2) * (3 / 2)));
  });

  test('clips the norm of the sum and reports it as it was', async () => {
    const norms: (number | null)[] = [];
    const { run, weight } = fakeRun({
      maxTrainSteps: 1,
      gradientAccumulationSteps: 2,
      maxGradNorm: 1,
      compute: () => ({ loss: 1, gradient: 8 }),
      hooks: { onBatch: ({ gradientNorm }) => void norms.push(gradientNorm) },
    });
    await train(run);
    expect(norms).toEqual([null, 8]);
    expect(weight()).toBeCloseTo(1 - 0.5, 6);
  });

  test('has the rate of the steps made before it; reported are that one and the next', async () => {
    const rates: number[][] = [];
    const { run } = fakeRun({
      batchesPerEpoch: 4,
      gradientAccumulationSteps: 2,
      maxTrainEpochs: 1,
      learningRate: 1,
      hooks: { onBatch: (b) => void rates.push([b.step, ...b.stepLearningRates, ...b.learningRates]) },
    });
    await train(run);
    expect(rates).toEqual([
      [0, 1, 1],
      [1, 1, 1 / 2],
      [1, 1 / 2, 1 / 2],
      [2, 1 / 2, 1 / 3],
    ]);
  });

  test('of Adafactor reports the rates that it chose', async () => {
    const rates: (readonly number[])[] = [];
    const { run } = fakeRun({
      maxTrainSteps: 2,
      optimizer: 'Adafactor',
      hooks: { onBatch: ({ learningRates }) => void rates.push(learningRates) },
    });
    await train(run);
    // min(1e-2, 1/√step) times the root mean square of the weights, here |w|
    expect(rates[0]?.[0]).toBeCloseTo(0.01, 6);
    expect(rates[1]?.[0]).toBeCloseTo(0.01 * 0.99, 6);
  });

  test('the average loss is that of the batches of an epoch', async () => {
    const averages: number[] = [];
    const { run } = fakeRun({
      batchesPerEpoch: 2,
      maxTrainEpochs: 2,
      compute: (batch) => ({ loss: batch, gradient: 0 }),
      hooks: { onBatch: ({ averageLoss }) => void averages.push(averageLoss) },
    });
    await train(run);
    expect(averages).toEqual([1, 1.5, (3 + 2) / 2, (3 + 4) / 2]);
  });
});

describe('an aborted run', () => {
  test('finishes the micro-batches of its step', async () => {
    const controller = new AbortController();
    const { calls, outcome } = await record({
      gradientAccumulationSteps: 2,
      compute: (batch) => {
        if (batch === 3) controller.abort();
        return { loss: 1, gradient: 0 };
      },
      hooks: { signal: controller.signal },
    });
    expect(calls.slice(-2)).toEqual(['step 2 in 1', 'batch 4']);
    expect(outcome).toMatchObject({ status: 'interrupted', step: 2, epoch: 1 });
  });

  test('does nothing when it is aborted before it starts', async () => {
    const { calls, outcome, seen } = await record({ hooks: { signal: AbortSignal.abort() } });
    expect([calls, seen]).toEqual([[], []]);
    expect(outcome).toMatchObject({ status: 'interrupted', step: 0 });
  });

  test('is complete when its last step was made', async () => {
    const controller = new AbortController();
    const { outcome } = await record({
      maxTrainSteps: 1,
      compute: () => {
        controller.abort();
        return { loss: 1, gradient: 0 };
      },
      hooks: { signal: controller.signal },
    });
    expect(outcome).toMatchObject({ status: 'completed', step: 1 });
  });
});

/** Losses of 1 and gradients of w, but for one batch. */
const at = (batch: number, found: { loss?: number; gradient?: number }): NonNullable<FakeRunOptions['compute']> => {
  return (k, w) => ({ loss: 1, gradient: w, ...(k === batch ? found : {}) });
};

describe('numbers that are not finite', () => {
  test.each([NaN, Infinity, -Infinity])('a loss of %s ends the run, with its step and items', async (loss) => {
    const { outcome, calls } = await record({ batchesPerEpoch: 2, compute: at(3, { loss }) });
    expect(outcome).toMatchObject({
      name: 'TrainerError',
      code: 'NON_FINITE_LOSS',
      facts: { step: 3, items: ['e2b1'] },
      message: `The loss is ${loss} at step 3, in the batch of e2b1. Lower --learning_rate, set --max_grad_norm, or look at the caches of these items.`,
    });
    expect(calls.at(-1)).toBe('failed, 1 in 1');
  });

  test.each([NaN, Infinity])('a gradient of %s ends the run, with all items of the step', async (gradient) => {
    const { outcome, weight, seen, calls } = await record({
      gradientAccumulationSteps: 2,
      maxGradNorm: 1,
      compute: at(3, { gradient }),
    });
    expect(outcome).toMatchObject({ code: 'NON_FINITE_GRADIENT', facts: { step: 2, items: ['e1b3', 'e1b4'] } });
    // Both losses of this step were finite, so the weights are good as they are.
    expect(weight()).toBe(seen[3]);
    expect(calls.at(-1)).toBe('failed, 1 in 1');
  });

  test('after a step that ruined the weights they are put back', async () => {
    const { outcome, weight, seen, calls } = await record({ compute: at(3, { loss: NaN }) });
    expect(outcome).toMatchObject({ code: 'NON_FINITE_LOSS' });
    expect(seen).toHaveLength(3);
    expect(weight()).toBe(seen[1]);
    expect(calls.at(-1)).toBe('failed, 1 in 1');
  });

  test('a loss inside a step leaves the weights as they are: an earlier one was finite', async () => {
    const { weight, seen, calls } = await record({
      gradientAccumulationSteps: 2,
      compute: at(4, { loss: NaN }),
    });
    expect(weight()).toBe(seen[2]);
    expect(calls.at(-1)).toBe('failed, 1 in 1');
  });

  test('weights are looked at after each step', async () => {
    const { outcome, weight, calls } = await record({
      maxTrainSteps: 2,
      compute: (batch) => ({ loss: 1, gradient: batch === 2 ? 3e38 : 0 }),
      learningRate: 1e10,
    });
    expect(outcome).toMatchObject({ code: 'NON_FINITE_WEIGHTS', facts: { step: 2, items: ['e1b2'] } });
    expect(weight()).toBe(1);
    expect(calls).not.toContain('step 2 in 1');
    expect(calls.at(-1)).toBe('failed, 1 in 1');
  });

  test('the state of a schedule-free optimizer goes back with the weights', async () => {
    const bad = fakeRun({ optimizer: 'schedulefree.SGDScheduleFree', compute: at(3, { loss: NaN }) });
    const good = fakeRun({ optimizer: 'schedulefree.SGDScheduleFree', maxTrainSteps: 1, compute: at(9, {}) });
    await expect(train(bad.run)).rejects.toThrow('The loss is NaN');
    await train(good.run);
    for (const { run } of [bad, good]) run.optimizer.eval();
    expect(bad.weight()).toBe(good.weight());
  });

  test.each([
    ['a gradient of the first', 1, { gradient: NaN }],
    ['a loss after the first', 2, { loss: NaN }],
  ])('%s step leaves nothing to save: the weights are those that the run began with', async (_, batch, found) => {
    const { calls, weight } = await record({ compute: at(batch, found) });
    expect(calls.filter((call) => call.startsWith('failed'))).toEqual([]);
    expect(weight()).toBe(1);
  });

  test('nothing is saved when no loss was finite', async () => {
    const { calls, weight } = await record({ compute: at(1, { loss: NaN }) });
    expect(calls).toEqual(['epoch 1']);
    expect(weight()).toBe(1);
  });
});

describe('another fault', () => {
  test('leaves the weights after the last step, to be saved', async () => {
    const { outcome, calls, weight, seen } = await record({ batchesPerEpoch: 2, unreadable: 4 });
    expect(outcome).toMatchObject({ message: 'unreadable' });
    expect(calls.at(-1)).toBe('failed, 3 in 2');
    expect(seen).toHaveLength(3);
    expect(weight()).not.toBe(seen[2]);
  });

  test('before the first step there is nothing to save', async () => {
    const { calls } = await record({ unreadable: 1 });
    expect(calls).toEqual(['epoch 1']);
  });

  test('a graph without a gradient is a fault of ours', async () => {
    const { run } = fakeRun();
    const loss: HostTensor = { dtype: 'float32', shape: [], data: Float32Array.of(1) };
    await expect(train({ ...run, run: async () => ({ loss }) })).rejects.toThrow(
      'internal: the training graph gave no gradient of w.',
    );
  });
});

const adaptiveOf = async (optimizer: string) => {
  const reports: BatchReport[] = [];
  const { run } = fakeRun({ optimizer, maxTrainSteps: 3, hooks: { onBatch: (report) => void reports.push(report) } });
  await train(run);
  return {
    found: reports.map(({ adaptive }) => adaptive),
    rates: reports.map((report) => report.learningRates[0]),
    run,
  };
};

test('tells the step size estimates of optimizers that find their own', async () => {
  const { found, rates, run } = await adaptiveOf('prodigyopt.Prodigy');
  expect(found.map((groups) => groups?.[0]?.rate)).toEqual(rates);
  expect(found.at(-1)?.[0]?.d).toBe(run.optimizer.stepSizeEstimate());
  expect((await adaptiveOf('SGD')).found).toEqual([null, null, null]);
});
