import type { TrainConfig } from '@musubi/config';
import type { TrainingData } from '@musubi/dataset';
import type { Adapter, CreateAdapterOptions, DropoutOptions, LoadedWeights, LoraGroup } from '@musubi/lora';
import type { InjectedAdapter } from '@musubi/lora/graph';
import type { Architecture, ResolvedWeights } from '@musubi/models';
import type { AttentionPlan, ParameterSource, ProductDtype } from '@musubi/onnx-graph';
import type { Optimizer } from '@musubi/optimizers';
import type { PoolSource, TimestepSamplerOptions } from '@musubi/samplers';

import {
  assertDropout,
  createAdapter,
  limitWeightNorms,
  loadWeights,
  loraGroups,
  loraParameters,
  selectTargets,
} from '@musubi/lora';
import { createOptimizer } from '@musubi/optimizers';
import { TorchGenerator } from '@musubi/random';
import { createBucketedUniform, createHighLowSampler, createTimestepSampler } from '@musubi/samplers';

import type { TrainingHooks, TrainingRun } from './train.ts';

import { type BaseDtype, baseDtype } from './base-dtype.ts';
import { learningRates } from './learning-rates.ts';
import { createLossScale } from './loss-scale.ts';
import { type MicroBatchOptions, prepareMicroBatch } from './micro-batch.ts';
import { type StepPlan, planSteps } from './step-plan.ts';
import { type LowerWeights, type TrainingModel, createTrainingModel } from './training-model.ts';

export interface RunParts<Config> {
  readonly config: TrainConfig;
  readonly seed: number;
  readonly architecture: Architecture<Config>;
  readonly model: Pick<ResolvedWeights<Config>, 'config' | 'weights'>;
  /** The base weights, where they lie. */
  readonly weights: ParameterSource;
  /** What the graphs do about weights that are stored in another form. */
  readonly lower?: LowerWeights;
  /** The second base model of a pair, for high noise; the one above is for low noise then. */
  readonly highNoise?: HighNoisePart | null;
  readonly data: TrainingData;
  /** Python's generator, seeded with the seed, after the dataset seed was drawn. */
  readonly pythonRandom: PoolSource;
  /** `--network_weights` */
  readonly networkWeights: Adapter | null;
  /** `--base_weights`; of two models they belong to the one for low noise, into which the original merges them. */
  readonly frozen: readonly InjectedAdapter[];
  /** Default: whole. See `planAttention`. */
  readonly attention?: AttentionPlan;
  /** See `TrainingModelOptions`. */
  readonly forWebGpu?: boolean;
  readonly gatesOnDevice?: boolean;
  readonly widenAtLoad?: boolean;
  readonly fusedEvaluation?: boolean;
  readonly products?: ProductDtype;
}

export interface HighNoisePart {
  /** Its weights, where they lie; names and shapes are those of the other model. */
  readonly weights: ParameterSource;
  /** A share of 1000 timesteps or, above 1, a timestep. */
  readonly timestepBoundary: number;
}

/** A run with everything but its session. */
export interface AssembledRun {
  readonly plan: StepPlan;
  readonly adapter: Adapter;
  readonly graphs: TrainingModel;
  /** Of the second base model, with the same inputs; null where there is one model. */
  readonly highNoiseGraphs: TrainingModel | null;
  readonly optimizer: Optimizer;
  /** Of the parameter groups, e.g. `unet` and `unet plus`. */
  readonly groupNames: readonly string[];
  /** Modules that `--network_weights` left as they were initialised. */
  readonly notLoaded: readonly string[];
  /** The loop's arguments for sessions that run `graphs.training` and, for high noise, that of `highNoiseGraphs`. */
  start(run: TrainingRun['run'], hooks: TrainingHooks): TrainingRun;
}

/**
 * Composes adapter, graphs, optimizer and schedule. Random numbers are drawn in the original's order: what it draws while
 * it constructs its model, then the adapter's initial weights; the generator goes on into the training loop.
 */
export function assembleRun<Config>(parts: RunParts<Config>): AssembledRun {
  const { config, architecture, model, data, highNoise = null } = parts;
  const generator = new TorchGenerator(parts.seed);
  for (const _ of highNoise ? ['low', 'high'] : ['only']) constructModel(architecture, model.config, generator);
  const { adapter, missing } = initialAdapter(parts, generator);
  const plan = planSteps({ ...config, batchesPerEpoch: data.batchesPerEpoch });
  const parameters = loraParameters(adapter);
  const groups = parameterGroups(adapter, config);
  const optimizer = createOptimizer(config.optimizerType, groups, config.optimizerArgs);
  const rates = learningRates(config, optimizer, plan);
  const dtype = baseDtype(model.weights);
  const sampler = createRunSampler(config, dtype, parts, highNoise);
  const graphs = runGraphs(parts, adapter);
  const highNoiseGraphs = highNoise && runGraphs({ ...parts, weights: highNoise.weights, frozen: [] }, adapter);
  const { drawMasks } = graphs;
  const normLimit = config.scaleWeightNorms;
  const micro = { architecture, config: model.config, sampler, weightingScheme: config.weightingScheme, dtype };

  return {
    plan,
    adapter,
    graphs,
    highNoiseGraphs,
    optimizer,
    groupNames: groups.map(({ name }) => name),
    notLoaded: missing,
    start: (run, hooks) => ({
      plan,
      data,
      generator,
      prepare: (batch, source) => {
        const { feeds, ...drawn } = prepareMicroBatch(batch, source, micro);
        return { feeds: { ...feeds, ...drawMasks?.(feeds, source) }, ...drawn };
      },
      run,
      parameters,
      optimizer,
      learningRates: (step) => groups.map((group) => rates(step, group.learningRate)),
      gradientAccumulationSteps: config.gradientAccumulationSteps,
      maxGradNorm: config.maxGradNorm,
      ...(parts.products === 'float16' ? { lossScale: createLossScale() } : {}),
      ...(normLimit === null ? {} : { limitNorms: () => limitWeightNorms(adapter, normLimit) }),
      hooks,
    }),
  };
}

/** The graphs of a run that trains `adapter`, for its only model or the one for low noise. */
export const runGraphs = <Config>(
  parts: Omit<RunParts<Config>, 'seed' | 'data' | 'pythonRandom' | 'networkWeights'>,
  adapter: Adapter,
): TrainingModel =>
  createTrainingModel({
    architecture: parts.architecture,
    config: parts.model.config,
    weights: parts.weights,
    adapter,
    frozen: parts.frozen,
    gradientCheckpointing: parts.config.gradientCheckpointing,
    gradientCheckpointingEvery: parts.config.gradientCheckpointingEvery,
    attention: parts.attention ?? 'whole',
    dropout: dropoutOf(parts.config),
    ...(parts.lower ? { lower: parts.lower } : {}),
    forWebGpu: parts.forWebGpu ?? false,
    gatesOnDevice: parts.gatesOnDevice ?? false,
    widenAtLoad: parts.widenAtLoad ?? false,
    fusedEvaluation: parts.fusedEvaluation ?? false,
    products: parts.products ?? 'float32',
  });

/** Skips what the original draws while it makes a model, whose weights then come from a file. */
function constructModel<Config>(
  { constructionDraws }: Pick<Architecture<Config>, 'constructionDraws'>,
  config: Config,
  generator: TorchGenerator,
): void {
  for (const shape of constructionDraws(config)) generator.randn(shape.reduce((a, b) => a * b, 1));
}

/** @throws errors of the samplers, also where a range of timesteps is out of reach */
export function createRunSampler(
  config: TrainConfig,
  dtype: BaseDtype,
  { seed, pythonRandom }: Pick<RunParts<unknown>, 'seed' | 'pythonRandom'>,
  highNoise: Pick<HighNoisePart, 'timestepBoundary'> | null,
): MicroBatchOptions<unknown>['sampler'] {
  const timesteps = { ...config, sigmaDtype: dtype };
  assertRangeIsHit(timesteps, seed);
  const bucketedUniform =
    config.numTimestepBuckets === null ? null : createBucketedUniform(config.numTimestepBuckets, pythonRandom);
  const drawOnce = createTimestepSampler(timesteps, { bucketedUniform });
  return highNoise ? createHighLowSampler(drawOnce, { ...highNoise, bucketedUniform }) : drawOnce;
}

/** @throws {LoraError} `DROPOUT_SHARE` */
export function dropoutOf({ networkDropout, rankDropout, moduleDropout }: TrainConfig): DropoutOptions {
  const dropout = { network: networkDropout, rank: rankDropout, module: moduleDropout };
  assertDropout(dropout);
  return dropout;
}

/** With `--preserve_distribution_shape` a range may be out of reach: found now, with numbers of its own, not at a step. */
function assertRangeIsHit(options: TimestepSamplerOptions, seed: number): void {
  if (!options.preserveDistributionShape) return;
  createTimestepSampler(options)({ count: 1, latentShape: [1, 1, 1, 128, 128], source: new TorchGenerator(seed) });
}

/** A rate of 0 leaves a group out, but not the last one: then nothing changes. */
export function parameterGroups(
  adapter: Adapter,
  { learningRate, loraplusLrRatio }: TrainConfig,
): readonly LoraGroup[] {
  const groups = loraGroups(adapter, learningRate, loraplusLrRatio);
  return groups.length > 0 ? groups : [{ name: 'unet', learningRate, parameters: loraParameters(adapter) }];
}

/**
 * The adapter that a run starts with.
 *
 * @throws {LoraError} where the patterns leave nothing, or `--network_weights` does not fit
 */
export function initialAdapter<Config>(
  parts: Pick<RunParts<Config>, 'config' | 'architecture' | 'networkWeights'> & {
    readonly model: Pick<ResolvedWeights<Config>, 'config'>;
  },
  generator: CreateAdapterOptions['generator'],
): Pick<LoadedWeights, 'adapter' | 'missing'> {
  const { config, architecture, model, networkWeights } = parts;
  const { lora } = architecture;
  const modules = selectTargets(
    lora.modules(model.config),
    { blockClasses: [lora.targetClass], exclude: lora.defaultExcludePatterns },
    { exclude: config.excludePatterns, include: config.includePatterns },
  );
  const fresh = createAdapter({
    kind: config.networkKind,
    factor: config.lokrFactor,
    modules,
    rank: config.networkDim,
    alpha: config.networkAlpha,
    like: config.dimFromWeights ? networkWeights : null,
    generator,
  });
  return networkWeights ? loadWeights(fresh, networkWeights) : { adapter: fresh, missing: [] };
}
