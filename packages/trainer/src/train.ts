import type { TrainingBatch, TrainingData } from '@musubi/dataset';
import type { WeightNorms } from '@musubi/lora';
import type { HostTensor } from '@musubi/onnx-graph';
import type { Optimizer } from '@musubi/optimizers';
import type { TorchGenerator } from '@musubi/random';

import { createLossAverage } from '@musubi/tracking';

import type { LossScale } from './loss-scale.ts';
import type { MicroBatch } from './micro-batch.ts';
import type { StepPlan } from './step-plan.ts';
import type { TrainedWeights } from './trained-weights.ts';

import { TrainerError, type TrainerErrorCode } from './errors.ts';
import { hostWeights } from './host-weights.ts';

/** Runs the training graph, of two models the one for high or low noise: feeds in, `loss` and the gradients out. */
export type RunStep = (
  feeds: Readonly<Record<string, HostTensor>>,
  isHighNoise: boolean,
) => Promise<Record<string, HostTensor>>;

export interface TrainableParameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** Written in place by the optimizer. */
  readonly data: Float32Array;
}

export interface TrainingRun {
  readonly plan: StepPlan;
  readonly data: TrainingData;
  /** PyTorch's generator in the state that initialising the network left. */
  readonly generator: TorchGenerator;
  readonly prepare: (batch: TrainingBatch, generator: TorchGenerator) => MicroBatch;
  readonly run: RunStep;
  readonly parameters: readonly TrainableParameter[];
  readonly optimizer: Optimizer;
  /** Rate of each parameter group at an optimizer step, counted from 0. */
  readonly learningRates: (step: number) => readonly number[];
  readonly gradientAccumulationSteps: number;
  /** 0 is no limit. */
  readonly maxGradNorm: number;
  /** Limits the norms of the adapter after each batch (`--scale_weight_norms`); null: they have none. */
  readonly limitNorms?: () => WeightNorms | null;
  /** Of a graph that takes one. A step whose gradients overflow with it is left out, and does not move the schedule. */
  readonly lossScale?: LossScale;
  /** Where the weights are and what takes the step; default: on the host, with `run` and `optimizer`. */
  readonly weights?: TrainedWeights;
  readonly hooks: TrainingHooks;
}

/** A hook that reads the weights calls `toHost` of `weights` first, where the run has some that are on a device. */
export interface TrainingHooks {
  /** After each batch. */
  readonly onBatch?: (report: BatchReport) => void | Promise<void>;
  /** After each optimizer step, before its batch is reported: save here what steps save. */
  readonly onStep?: (at: RunPosition) => Promise<void>;
  /** After a step that was left out; `lossScale` is the one from now on. */
  readonly onSkippedStep?: (at: RunPosition, lossScale: number) => void;
  readonly onEpochStart?: (epoch: number) => void;
  readonly onEpochEnd?: (at: RunPosition, averageLoss: number) => Promise<void>;
  /**
   * Before the run ends with an error: save here what is worth saving. The weights are those after `at.step` steps; when
   * the loss, a gradient or a weight was not finite, those that last gave a finite loss. Not called when these are the
   * weights that the run began with, or there are none.
   */
  readonly onFailure?: (at: RunPosition) => Promise<void>;
  /** Once aborted, the run stops after the current step. */
  readonly signal?: AbortSignal | undefined;
}

export interface RunPosition {
  /** Completed optimizer steps. */
  readonly step: number;
  /** From 1. */
  readonly epoch: number;
}

export interface BatchReport extends RunPosition {
  /** Batches since the start, this one included. */
  readonly microStep: number;
  /** From 1. */
  readonly batchInEpoch: number;
  readonly completesStep: boolean;
  readonly loss: number;
  readonly averageLoss: number;
  /** Rates of the step this batch belongs to. */
  readonly stepLearningRates: readonly number[];
  /** Rates after the schedule moved on, as the original logs them. */
  readonly learningRates: readonly number[];
  /** Norm of all gradients before clipping; null between steps, and of steps that were left out. */
  readonly gradientNorm: number | null;
  /** What `limitNorms` gave. */
  readonly weightNorms?: WeightNorms | null;
  /** Step size estimates of optimizers that find their own, one a group. */
  readonly adaptive?: readonly { readonly d: number; readonly rate: number }[] | null;
  readonly datasetIndex: number;
  readonly items: readonly string[];
  readonly timesteps: readonly number[];
  /** The batch was one of the high noise model; always false where there is one model. */
  readonly isHighNoise: boolean;
}

export interface TrainingResult extends RunPosition {
  readonly status: 'completed' | 'interrupted';
  readonly averageLoss: number;
}

/**
 * The training loop: batches in the original's order, gradients accumulated, clipped together, one optimizer step.
 *
 * @throws {TrainerError} `NON_FINITE_LOSS`, `NON_FINITE_GRADIENT`, `NON_FINITE_WEIGHTS`, with the parameters as they were
 *   when they last gave a finite loss; and what data, graph and hooks throw
 */
export async function train(run: TrainingRun): Promise<TrainingResult> {
  const weights = run.weights ?? hostWeights(run);
  let last: RunPosition = { step: 0, epoch: 0 };
  try {
    const result = await loop(run, weights, (at) => (last = at));
    await weights.end();
    return result;
  } catch (error) {
    const isNumeric = isNonFinite(error);
    const at = isNumeric ? await weights.restore() : last;
    // another fault may be that of the device: then a hook learns that they are gone
    if (isNumeric) await weights.toHost();
    if (at && at.step > 0) await run.hooks.onFailure?.(at);
    throw error;
  }
}

async function loop(
  run: TrainingRun,
  weights: TrainedWeights,
  moveTo: (at: RunPosition) => void,
): Promise<TrainingResult> {
  const { plan, data, generator, hooks, optimizer, lossScale } = run;
  const average = createLossAverage();
  let [step, skippedSteps, microStep, averageLoss, epoch] = [0, 0, 0, Number.NaN, 0];
  let stepItems: string[] = [];
  const isStopped = () => hooks.signal?.aborted === true;

  while (epoch < plan.numEpochs && step < plan.maxTrainSteps && !isStopped()) {
    epoch++;
    moveTo({ step, epoch });
    hooks.onEpochStart?.(epoch);
    let batchInEpoch = 0;
    for await (const batch of data.epoch(epoch, generator)) {
      microStep++;
      batchInEpoch++;
      const items = batch.items.map((item) => item.key);
      stepItems.push(...items);
      const { feeds, timesteps, isHighNoise } = run.prepare(batch, generator);
      const loss = await weights.addBatch(feeds, isHighNoise);
      if (!Number.isFinite(loss)) throw nonFinite('NON_FINITE_LOSS', `The loss is ${loss}`, step + 1, items);
      await weights.confirm({ step, epoch });

      const stepLearningRates = run.learningRates(step - skippedSteps);
      const completesStep = batchInEpoch % run.gradientAccumulationSteps === 0 || batchInEpoch === data.batchesPerEpoch;
      let gradientNorm: number | null = null;
      if (completesStep) {
        const { kind, gradientNorm: norm } = await weights.step(stepLearningRates);
        step++;
        if (kind === 'bad-gradient') {
          throw nonFinite('NON_FINITE_GRADIENT', `The norm of the gradients is ${norm}`, step, stepItems);
        }
        if (kind === 'bad-weights') {
          throw nonFinite('NON_FINITE_WEIGHTS', "Some of the adapter's weights are not finite", step, stepItems);
        }
        if (kind === 'taken') gradientNorm = norm;
        else {
          skippedSteps++;
          hooks.onSkippedStep?.({ step, epoch }, lossScale?.value ?? 1);
        }
        stepItems = [];
        moveTo({ step, epoch });
      }
      const weightNorms = run.limitNorms?.() ?? null;
      if (completesStep) await hooks.onStep?.({ step, epoch });
      averageLoss = average.add(batchInEpoch - 1, loss);
      const own = optimizer.ownLearningRates();
      const learningRates = own ?? run.learningRates(step - skippedSteps);
      const d = optimizer.stepSizeEstimate();
      await hooks.onBatch?.({
        step,
        epoch,
        microStep,
        batchInEpoch,
        completesStep,
        loss,
        averageLoss,
        stepLearningRates: own ?? stepLearningRates,
        learningRates,
        gradientNorm,
        weightNorms,
        adaptive: d === null ? null : learningRates.map((rate) => ({ d, rate })),
        datasetIndex: batch.datasetIndex,
        items,
        timesteps: [...timesteps],
        isHighNoise,
      });
      if (step >= plan.maxTrainSteps || (completesStep && isStopped())) break;
    }
    if (isStopped() && step < plan.maxTrainSteps) break;
    await hooks.onEpochEnd?.({ step, epoch }, averageLoss);
  }
  const status = step >= plan.maxTrainSteps ? 'completed' : 'interrupted';
  return { status, step, epoch, averageLoss };
}

type NonFinite = Extract<TrainerErrorCode, `NON_FINITE_${string}`>;

function nonFinite(code: NonFinite, found: string, step: number, items: readonly string[]): TrainerError {
  const batches = [...new Set(items)].join(', ');
  return new TrainerError(
    code,
    `${found} at step ${step}, in the batch of ${batches}.`,
    'Lower --learning_rate, set --max_grad_norm, or look at the caches of these items.',
    { step, items },
  );
}

const isNonFinite = (error: unknown): boolean => error instanceof TrainerError && error.code.startsWith('NON_FINITE_');
