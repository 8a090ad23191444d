export { createTimestepSampler } from './create-timestep-sampler.ts';
export type {
  NumberSource,
  SamplerHooks,
  TimestepBatch,
  TimestepSample,
  TimestepSampler,
} from './create-timestep-sampler.ts';
export { resolveSettings, samplerDefaults, weightingSchemes } from './options.ts';
export type { SamplerSettings, TimestepSamplerOptions, WeightingScheme } from './options.ts';
export { findSampler, qinglongPresets, samplerNames, samplers } from './registry.ts';
export type { Component, QinglongPreset, SamplerDefinition, SamplerName } from './registry.ts';
export { ideogram4, logitNormal, logsnr, quantile, uniform } from './distributions.ts';
export type { Distribution, LatentSize } from './distributions.ts';
export { probit } from './probit.ts';
export { lossWeighting, broadcastWeights } from './loss-weighting.ts';
export type { LossWeightingRequest } from './loss-weighting.ts';
export { noisyLatents } from './noisy-latents.ts';
export { scheduleSigmas, scheduleTimesteps, sigmaOfTimestep } from './flow-schedule.ts';
export { createBucketedUniform, epochTimesteps } from './timestep-pool.ts';
export type { BucketedUniform, PoolSource } from './timestep-pool.ts';
export { createHighLowSampler } from './high-low-sampler.ts';
export type { HighLowOptions, HighLowSample } from './high-low-sampler.ts';
export type { FloatDtype } from './internal/rounding.ts';
export { expectedDistribution } from './expected-density.ts';
export type { Cumulative } from './expected-density.ts';
export { timestepHistogram } from './timestep-histogram.ts';
export type { HistogramRequest, TimestepHistogram } from './timestep-histogram.ts';
export { histogramText } from './histogram-text.ts';
export { histogramSvg } from './histogram-svg.ts';
export { numberSource } from './number-source.ts';
export { SamplerError } from './errors.ts';
export type { SamplerErrorCode } from './errors.ts';
