import type { TrainingBatch, TrainingData } from '@musubi/dataset';
import type { HostTensor } from '@musubi/onnx-graph';

import { gradientName } from '@musubi/autodiff';
import { createOptimizer } from '@musubi/optimizers';
import { TorchGenerator } from '@musubi/random';

import { type TrainingHooks, type TrainingRun, planSteps } from '../src/index.ts';

export interface FakeRunOptions {
  readonly batchesPerEpoch?: number;
  readonly gradientAccumulationSteps?: number;
  readonly maxTrainSteps?: number;
  readonly maxTrainEpochs?: number | null;
  readonly maxGradNorm?: number;
  readonly optimizer?: string;
  readonly learningRate?: number;
  /** Loss and gradient at a batch, counted from 1, and a weight; default w² / 2 and w. */
  readonly compute?: (batch: number, w: number) => { loss: number; gradient: number };
  /** Fails at the batch with this number, as an unreadable cache does. */
  readonly unreadable?: number;
  readonly hooks?: TrainingHooks;
}

/** A run of one weight, `w = 1`, in place of data, graph and session. */
export function fakeRun(options: FakeRunOptions = {}) {
  const { batchesPerEpoch = 4, gradientAccumulationSteps = 1, maxTrainSteps = 100, learningRate = 0.5 } = options;
  const { compute = (_, w) => ({ loss: (w * w) / 2, gradient: w }) } = options;
  const weight = { name: 'w', shape: [1], data: Float32Array.of(1) };
  const seen: number[] = [];
  const groups = [{ name: 'unet', learningRate, parameters: [weight] }];
  const run: TrainingRun = {
    plan: planSteps({
      batchesPerEpoch,
      gradientAccumulationSteps,
      maxTrainSteps,
      maxTrainEpochs: options.maxTrainEpochs ?? null,
    }),
    data: fakeData(batchesPerEpoch, options.unreadable),
    generator: new TorchGenerator(1),
    prepare: () => ({ feeds: {}, timesteps: Float32Array.of(500), isHighNoise: false }),
    run: async (feeds) => {
      const w = feeds['w']?.data[0];
      seen.push(Number(w));
      const { loss, gradient } = compute(seen.length, Number(w));
      return { loss: scalar(loss), [gradientName('w')]: scalar(gradient) };
    },
    parameters: [weight],
    optimizer: createOptimizer(options.optimizer ?? 'SGD', groups),
    learningRates: (step) => [learningRate / (step + 1)],
    gradientAccumulationSteps,
    maxGradNorm: options.maxGradNorm ?? 0,
    hooks: options.hooks ?? {},
  };
  return { run, weight: () => weight.data[0], /** The weight at each batch. */ seen };
}

const scalar = (value: number): HostTensor => ({ dtype: 'float32', shape: [1], data: Float32Array.of(value) });

function fakeData(batchesPerEpoch: number, unreadable = Infinity): TrainingData {
  let served = 0;
  return {
    datasets: [],
    numTrainItems: batchesPerEpoch,
    batchesPerEpoch,
    metadata: [],
    metadataJson: '[]',
    async *epoch(epoch) {
      for (let i = 1; i <= batchesPerEpoch; i++) {
        if (++served === unreadable) throw new Error('unreadable');
        yield fakeBatch(`e${epoch}b${i}`);
      }
    },
  };
}

export function fakeBatch(key: string, contents: Partial<TrainingBatch> = {}): TrainingBatch {
  const item = { key, latentCache: `${key}_wan.safetensors`, textCache: `${key}_wan_te.safetensors`, bucketKey: [] };
  return {
    datasetIndex: 0,
    bucket: [],
    bucketKey: [],
    items: [item],
    stacked: new Map(),
    lists: new Map(),
    timesteps: null,
    ...contents,
  };
}
