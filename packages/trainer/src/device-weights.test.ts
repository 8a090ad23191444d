import type { HostTensor } from '@musubi/onnx-graph';
import type { Optimizer } from '@musubi/optimizers';

import { gradientName } from '@musubi/autodiff';
import { createOptimizer } from '@musubi/optimizers';
import { adamwGraphOptions } from '@musubi/optimizers/graph';
import { createNodeRuntime } from '@musubi/runtime/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Runtime } from '@musubi/runtime';

import type { TrainingHooks, TrainingRun } from './train.ts';

import { type FakeRunOptions, fakeRun } from '../tests/fake-run.ts';
import { pretendDevice } from '../tests/pretend-device.ts';
import { createLossScale } from './loss-scale.ts';
import { openDeviceWeights } from './open-device-weights.ts';
import { train } from './train.ts';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await createNodeRuntime();
});
afterAll(() => runtime?.close());

interface Options extends FakeRunOptions {
  readonly args?: Readonly<Record<string, unknown>>;
  /** Rates of `down` and `up`; a group without a rate is none. */
  readonly rates?: readonly (number | null)[];
  /** Of the loss and the gradients at a batch, counted from 1. */
  readonly scale?: (batch: number) => number;
  readonly lossScale?: boolean;
  /** Batch whose gradients overflow. */
  readonly overflows?: number;
  readonly abortAt?: number;
  /** Steps, default 2. */
  readonly saveEvery?: number;
}

const numbers = (count: number, seed: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(12.9898 * (i + 1) + 78.233 * seed));

/** Two matrices and what their run takes: the loss of a batch is half the squared distance to targets of its own. */
function matrices(options: Options) {
  const parameters = [
    { name: 'a.lora_down.weight', shape: [2, 3], data: numbers(6, 1) },
    { name: 'a.lora_up.weight', shape: [4, 2], data: new Float32Array(8) },
  ];
  const { rates = [1e-2, 4e-2], scale = () => 1, lossScale } = options;
  const groups = parameters.flatMap((parameter, i) => {
    const learningRate = rates[i] ?? null;
    return learningRate === null ? [] : [{ name: parameter.name, learningRate, parameters: [parameter] }];
  });
  let batch = 0;
  const run: TrainingRun['run'] = async (feeds) => {
    batch++;
    const factor = scale(batch);
    const outputs: Record<string, HostTensor> = {};
    let loss = 0;
    parameters.forEach(({ name, shape }, i) => {
      const target = numbers(8, 10 * batch + i);
      const differences = Float32Array.from(
        feeds[name]?.data as Float32Array,
        (w, k) => (w - (target[k] ?? 0)) * factor,
      );
      loss += differences.reduce((sum, d) => sum + (d * d) / 2, 0);
      const by = batch === options.overflows ? Infinity : Number(feeds['loss_scale']?.data[0] ?? 1);
      const scaled = differences.map((d) => d * by);
      outputs[gradientName(name)] = { dtype: 'float32', shape, data: scaled };
    });
    return { ...outputs, loss: { dtype: 'float32', shape: [], data: Float32Array.of(loss) } };
  };
  const { run: fake } = fakeRun({ batchesPerEpoch: 5, maxTrainSteps: 6, ...options });
  const optimizer = createOptimizer('AdamW', groups, options.args);
  const training: TrainingRun = {
    ...fake,
    parameters,
    optimizer,
    run,
    learningRates: (step) => groups.map(({ learningRate }) => learningRate / (1 + step / 4)),
    ...(lossScale ? { lossScale: createLossScale() } : {}),
  };
  return { training, groups };
}

interface Seen {
  readonly calls: string[];
  readonly losses: number[];
  readonly norms: (number | null)[];
  /** Weights at each call of a hook that saves. */
  readonly saved: number[][];
  readonly weights: number[];
  readonly state: ReturnType<Optimizer['state']>;
  readonly outcome: unknown;
}

async function trained(options: Options, place: 'host' | 'device'): Promise<Seen & { crossed: number[] }> {
  const { training, groups } = matrices(options);
  const device = pretendDevice(runtime);
  const adamw = adamwGraphOptions('AdamW', options.args)!;
  const opened =
    place === 'host'
      ? null
      : await openDeviceWeights({
          runtime: device.runtime,
          run: device.training(training.run),
          training,
          groups,
          adamw,
        });
  const [calls, losses, norms, saved, crossed]: [string[], number[], (number | null)[], number[][], number[]] = [
    [],
    [],
    [],
    [],
    [],
  ];
  const weightsNow = () => training.parameters.flatMap(({ data }) => [...data]);
  const controller = new AbortController();
  const save = async (call: string) => {
    await opened?.weights.toHost();
    calls.push(call);
    saved.push(weightsNow());
  };
  const hooks: TrainingHooks = {
    signal: controller.signal,
    onStep: async ({ step }) => (step % (options.saveEvery ?? 2) === 0 ? save(`step ${step}`) : undefined),
    onEpochEnd: async ({ step, epoch }) => save(`end of ${epoch} at ${step}`),
    onFailure: async ({ step, epoch }) => save(`failed at ${step} in ${epoch}`),
    onSkippedStep: ({ step }, lossScale) => calls.push(`left out ${step}, ${lossScale}`),
    onBatch: ({ loss, gradientNorm, microStep }) => {
      losses.push(loss);
      norms.push(gradientNorm);
      crossed.push(device.takeCrossed());
      if (microStep === options.abortAt) controller.abort();
    },
  };
  const outcome = await train({ ...training, hooks, ...(opened ? { weights: opened.weights } : {}) }).catch(
    (error: unknown) => error,
  );
  // the weights and both moments
  if (opened && !(outcome instanceof Error)) expect(device.live).toBe(3 * training.parameters.length);
  await opened?.close();
  if (!(outcome instanceof Error)) expect(device.live).toBe(0);
  return { calls, losses, norms, saved, weights: weightsNow(), state: training.optimizer.state(), outcome, crossed };
}

const cases: readonly (Options & { what: string })[] = [
  { what: 'the defaults' },
  { what: 'two batches a step, the last of an epoch alone', gradientAccumulationSteps: 2, maxTrainSteps: 7 },
  { what: 'three batches a step, clipped', gradientAccumulationSteps: 3, maxGradNorm: 0.5, maxTrainSteps: 5 },
  { what: 'clipping', maxGradNorm: 0.5 },
  { what: 'a limit that is not reached', maxGradNorm: 1e6 },
  { what: 'other arguments', args: { betas: [0.5, 0.9], eps: 1e-4, weight_decay: 0.3 } },
  { what: 'no weight decay', args: { weight_decay: 0 }, maxGradNorm: 1 },
  { what: 'a matrix without a rate', rates: [null, 1e-2], maxGradNorm: 0.5 },
  { what: 'a loss scale', lossScale: true, gradientAccumulationSteps: 2, maxGradNorm: 1 },
  { what: 'an end in the middle', abortAt: 3, gradientAccumulationSteps: 2 },
];

describe.each(cases)('AdamW on a device with $what', (options) => {
  test('does what it does on the host', async () => {
    const [host, device] = [await trained(options, 'host'), await trained(options, 'device')];
    expect(device.calls).toEqual(host.calls);
    expect(host.calls.length).toBeGreaterThan(0);
    expect(device.outcome).toMatchObject({ ...(host.outcome as object), averageLoss: expect.any(Number) });
    expect(device.losses).toBeAllClose(host.losses, { rtol: 1e-6 });
    expect(device.norms.map((norm) => norm ?? -1)).toBeAllClose(
      host.norms.map((norm) => norm ?? -1),
      { rtol: 1e-6 },
    );
    expect(device.saved.flat()).toBeAllClose(host.saved.flat(), { rtol: 1e-6, atol: 1e-7 });
    expect(device.weights).toBeAllClose(host.weights, { rtol: 1e-6, atol: 1e-7 });
    expect(device.state.numbers).toEqual(host.state.numbers);
    for (const [key, { data }] of host.state.tensors) {
      expect(device.state.tensors.get(key)?.data, key).toBeAllClose(data, { rtol: 2e-6, atol: 1e-7 });
    }
  });
});

const finite: Options = { maxTrainSteps: 6, maxGradNorm: 1 };
const faults: readonly (Options & { what: string; code: string })[] = [
  { what: 'the first loss', code: 'NON_FINITE_LOSS', scale: () => NaN },
  { what: 'a later loss', code: 'NON_FINITE_LOSS', scale: (batch) => (batch === 3 ? 1e30 : 1) },
  {
    what: 'the second loss, after a save',
    code: 'NON_FINITE_LOSS',
    saveEvery: 1,
    scale: (batch) => (batch === 2 ? NaN : 1),
  },
  {
    what: 'the loss of a second batch',
    code: 'NON_FINITE_LOSS',
    gradientAccumulationSteps: 2,
    scale: (batch) => (batch === 4 ? NaN : 1),
  },
  { what: 'a gradient', code: 'NON_FINITE_GRADIENT', overflows: 3 },
  { what: 'a gradient of two batches', code: 'NON_FINITE_GRADIENT', overflows: 3, gradientAccumulationSteps: 2 },
  { what: 'the weights after a step', code: 'NON_FINITE_WEIGHTS', rates: [1e39, 1e39] },
  { what: 'the loss after a step that ruined the weights', code: 'NON_FINITE_LOSS', rates: [1e25, 1e25] },
];

describe.each(faults)('$what that is no finite number', ({ code, ...options }) => {
  test('ends the run as on the host, with the weights that last gave a finite loss', async () => {
    const [host, device] = [
      await trained({ ...finite, ...options }, 'host'),
      await trained({ ...finite, ...options }, 'device'),
    ];
    expect(host.outcome).toMatchObject({ code });
    expect(device.outcome).toEqual(host.outcome);
    expect(device.calls).toEqual(host.calls);
    expect(device.weights.every(Number.isFinite)).toBe(true);
    expect(device.weights).toBeAllClose(host.weights, { rtol: 1e-6, atol: 1e-7 });
    expect(device.saved.flat()).toBeAllClose(host.saved.flat(), { rtol: 1e-6, atol: 1e-7 });
  });
});

test('a step that overflows with the loss scale is left out', async () => {
  const options = { lossScale: true, maxTrainSteps: 4, overflows: 2 };
  const [host, device] = [await trained(options, 'host'), await trained(options, 'device')];
  expect(device.calls).toEqual(host.calls);
  expect(device.calls).toContain('left out 2, 32768');
  expect(device.norms.map(Number)).toBeAllClose(host.norms.map(Number), { rtol: 1e-6 });
  expect(device.weights).toBeAllClose(host.weights, { rtol: 1e-6, atol: 1e-7 });
});

test('of a step only numbers cross, and the weights when they are saved', async () => {
  const { crossed, calls } = await trained({ maxGradNorm: 1, maxTrainSteps: 4 }, 'device');
  expect(calls).toEqual(['step 2', 'step 4', 'end of 1 at 4']);
  // loss, norm, sum of the weights; scale, smallest divisor; rate and decay of each group
  const numbersOfStep = 4 * (3 + 2 + 2 * 2);
  const weights = 4 * (6 + 8);
  // at first the weights for the batch and for the step, and zeros for both moments
  expect(crossed).toEqual([
    numbersOfStep + 4 * weights,
    numbersOfStep + weights,
    numbersOfStep,
    numbersOfStep + weights,
  ]);
});
