import type { TrainingBatch } from '@musubi/dataset';
import type { Architecture } from '@musubi/models';
import type { HostTensor } from '@musubi/onnx-graph';
import type { HighLowSample, TimestepBatch, TimestepSample } from '@musubi/samplers';

import { type TorchGenerator } from '@musubi/random';
import { lossWeighting, noisyLatents } from '@musubi/samplers';

import type { BaseDtype } from './base-dtype.ts';

import { TrainerError } from './errors.ts';

export interface MicroBatchOptions<Config> {
  readonly architecture: Architecture<Config>;
  readonly config: Config;
  /** Of two models one that also decides whose batch it is. */
  readonly sampler: (batch: TimestepBatch) => TimestepSample | HighLowSample;
  /** `--weighting_scheme` */
  readonly weightingScheme: string;
  /** Of the base model: weights of the loss are rounded to it. */
  readonly dtype?: BaseDtype;
}

/** What one call of the training graph is fed with, adapter weights aside. */
export interface MicroBatch {
  readonly feeds: Record<string, HostTensor>;
  /** As the model sees them, one an item. */
  readonly timesteps: Float32Array;
  /** It belongs to the high noise model of two; false where there is one. */
  readonly isHighNoise: boolean;
}

/**
 * Noise, timesteps and target of a batch, drawn in the original's order: noise of the latents' shape and stored dtype,
 * then one timestep an item.
 *
 *     noisy = (1 − t)·latents + t·noise,   target = noise − latents
 */
export function prepareMicroBatch<Config>(
  batch: TrainingBatch,
  generator: TorchGenerator,
  options: MicroBatchOptions<Config>,
): MicroBatch {
  const latents = batch.stacked.get('latents');
  if (!latents) throw missing(batch, 'latents');
  const noise = generator.randn(latents.data.length, latents.dtype === 'BF16' ? 'bfloat16' : 'float32');
  const sample = options.sampler({
    count: batch.items.length,
    latentShape: latents.shape,
    pooled: batch.timesteps,
    source: generator,
  });
  const { t, timesteps } = sample;
  const isHighNoise = 'isHighNoise' in sample && sample.isHighNoise;
  return { feeds: microBatchFeeds(batch, noise, t, timesteps, options), timesteps, isHighNoise };
}

/**
 * The feeds for given noise and noise levels.
 *
 * @param noise like the latents
 * @param t noise level of each item, 0 … 1
 * @param timesteps as the model sees them
 */
export function microBatchFeeds<Config>(
  batch: TrainingBatch,
  noise: Float32Array,
  t: Float32Array,
  timesteps: Float32Array,
  { architecture, config, weightingScheme, dtype = 'float32' }: Omit<MicroBatchOptions<Config>, 'sampler'>,
): Record<string, HostTensor> {
  const latents = batch.stacked.get('latents');
  const text = batch.lists.get('t5');
  if (!latents) throw missing(batch, 'latents');
  if (!text) throw missing(batch, 'text embeddings');
  const likeLatents = (data: Float32Array): HostTensor => ({ dtype: 'float32', shape: latents.shape, data });
  const target = noise.map((n, i) => n - (latents.data[i] ?? 0));
  const weights = lossWeighting({ weightingScheme, timesteps, dtype }) ?? new Float32Array(timesteps.length).fill(1);
  return {
    ...fitting(batch, () =>
      architecture.prepare(config, {
        noisyLatents: likeLatents(noisyLatents(latents.data, noise, t)),
        timesteps,
        text,
      }),
    ),
    target: architecture.toOutputTokens(config, likeLatents(target)),
    loss_weight: { dtype: 'float32', shape: [weights.length, 1, 1], data: weights },
  };
}

const caches = 'Make the caches again for this model.';

function missing({ items }: TrainingBatch, content: string): TrainerError {
  const keys = items.map((item) => item.key);
  const found = `The caches of ${keys.join(', ')} hold no ${content}.`;
  return new TrainerError('BATCH_INCOMPLETE', found, caches, { items: keys });
}

/** Says which caches the model refuses. */
function fitting<T>({ items }: TrainingBatch, prepare: () => T): T {
  try {
    return prepare();
  } catch (cause) {
    if (!(cause instanceof Error && 'remedy' in cause)) throw cause;
    const found = cause.message.replace(String(cause.remedy), '').trimEnd();
    const files = items.flatMap(({ latentCache, textCache }) => [latentCache, textCache]);
    throw new TrainerError(
      'BATCH_UNFIT',
      `A batch does not fit the model. ${found} Its caches are ${[...new Set(files)].join(', ')}.`,
      caches,
      { items: items.map((item) => item.key) },
      { cause },
    );
  }
}
