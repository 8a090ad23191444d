import type { HostTensor } from '@musubi/onnx-graph';

import { gradientName } from '@musubi/autodiff';
import { clipGradNorm } from '@musubi/optimizers';

import type { TrainableParameter, TrainingRun } from './train.ts';
import type { TrainedWeights } from './trained-weights.ts';

import { createGradientSum } from './accumulate.ts';
import { areFinite, keepLastGood } from './last-good.ts';
import { lossScaleInput } from './loss-scale.ts';

/** Weights in the arrays of the adapter: fed to each batch, whose gradients come back, and stepped in JavaScript. */
export function hostWeights({
  run,
  parameters,
  optimizer,
  gradientAccumulationSteps,
  maxGradNorm,
  lossScale,
}: Omit<TrainingRun, 'weights'>): TrainedWeights {
  const lastGood = keepLastGood(parameters, optimizer);
  const sum = createGradientSum(gradientAccumulationSteps);
  const scaleFeeds = (): Record<string, HostTensor> =>
    lossScale ? { [lossScaleInput]: { dtype: 'float32', shape: [1], data: Float32Array.of(lossScale.value) } } : {};

  return {
    async addBatch(feeds, isHighNoise) {
      const outputs = await run({ ...feeds, ...parameterFeeds(parameters), ...scaleFeeds() }, isHighNoise);
      const loss = Number(outputs['loss']?.data[0]);
      if (Number.isFinite(loss)) sum.add(gradientsOf(parameters, outputs));
      return loss;
    },
    async confirm(at) {
      lastGood.confirm(at);
    },
    async step(learningRates) {
      const gradients = sum.take();
      lossScale?.unscale(gradients);
      const gradientNorm = clipGradNorm(gradients, maxGradNorm);
      const isFinite = Number.isFinite(gradientNorm);
      if (!(lossScale?.update(isFinite) ?? isFinite)) return { kind: 'bad-gradient', gradientNorm };
      if (!isFinite) return { kind: 'left-out', gradientNorm };
      lastGood.beforeStep();
      optimizer.step(gradients, learningRates);
      return { kind: areFinite(parameters) ? 'taken' : 'bad-weights', gradientNorm };
    },
    restore: async () => lastGood.restore(),
    // they are there
    toHost: async () => {},
    end: async () => {},
  };
}

const parameterFeeds = (parameters: readonly TrainableParameter[]): Record<string, HostTensor> =>
  Object.fromEntries(parameters.map(({ name, shape, data }) => [name, { dtype: 'float32', shape, data }]));

function gradientsOf(
  parameters: readonly TrainableParameter[],
  outputs: Readonly<Record<string, HostTensor>>,
): Map<string, Float32Array> {
  return new Map(
    parameters.map(({ name }) => {
      const data = outputs[gradientName(name)]?.data;
      if (data instanceof Float32Array) return [name, data];
      throw new Error(`internal: the training graph gave no gradient of ${name}.`);
    }),
  );
}
