import { SamplerError, unknownName } from './errors.ts';
import type { FloatDtype } from './internal/rounding.ts';
import { findSampler, qinglongPresets } from './registry.ts';
import type { QinglongPreset, SamplerName } from './registry.ts';

/** Densities of the `sigma` sampler, and weights of the loss. */
export const weightingSchemes = ['logit_normal', 'mode', 'cosmap', 'sigma_sqrt', 'none'] as const;

export type WeightingScheme = (typeof weightingSchemes)[number];

/** Options as a user may leave them: absent and null mean the default. */
export type TimestepSamplerOptions = {
  readonly [K in keyof SamplerSettings]?: (SamplerSettings[K] extends string ? string : SamplerSettings[K]) | null;
};

/** Checked options with all defaults filled in. */
export interface SamplerSettings {
  /** default `sigma` */
  readonly timestepSampling: SamplerName;
  /** shift of `shift`, > 0, default 1 */
  readonly discreteFlowShift: number;
  /** factor on the normal number before the sigmoid, default 1 */
  readonly sigmoidScale: number;
  /** density of `sigma`, default `none` */
  readonly weightingScheme: WeightingScheme;
  /** mean of the normal of `logsnr` and of the density `logit_normal`, default 0 */
  readonly logitMean: number;
  /** its standard deviation, ≥ 0, default 1 */
  readonly logitStd: number;
  /** scale of the density `mode`, −1 … 1.75, default 1.29 */
  readonly modeScale: number;
  /** lower end of the range, 0 … 1000, default 0 */
  readonly minTimestep: number;
  /** upper end of the range, 0 … 1000, default 1000 */
  readonly maxTimestep: number;
  /** draw again what falls outside the range instead of squeezing the distribution into it, default false */
  readonly preserveDistributionShape: boolean;
  /** shares of the `qinglong_*` mixtures */
  readonly qinglongPreset: QinglongPreset;
  /** shares of their own, in percent or any other unit: shifted part, logsnr, low-noise logsnr; default those of the preset */
  readonly qinglongRatios: readonly [number, number, number] | null;
  /** element type in which `sigma` keeps noise levels: the transformer's, default `float32` */
  readonly sigmaDtype: FloatDtype;
  /** with `preserveDistributionShape`: what follows 1000 rounds without enough timesteps in the range, default `error` */
  readonly onExhausted: 'error' | 'unrestricted';
}

export const samplerDefaults: SamplerSettings = {
  timestepSampling: 'sigma',
  discreteFlowShift: 1,
  sigmoidScale: 1,
  weightingScheme: 'none',
  logitMean: 0,
  logitStd: 1,
  modeScale: 1.29,
  minTimestep: 0,
  maxTimestep: 1000,
  preserveDistributionShape: false,
  qinglongPreset: '80-7.5-12.5',
  qinglongRatios: null,
  sigmaDtype: 'float32',
  onExhausted: 'error',
};

/** @throws {SamplerError} `UNKNOWN_SAMPLER`, `UNKNOWN_WEIGHTING`, `SAMPLER_OPTION` */
export function resolveSettings(options: TimestepSamplerOptions): SamplerSettings {
  const given = Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined && value !== null),
  );
  const settings: SamplerSettings = { ...samplerDefaults, ...given };
  findSampler(settings.timestepSampling);
  assertWeightingScheme(settings.weightingScheme);
  assertChoice('qinglong_preset', settings.qinglongPreset, Object.keys(qinglongPresets));
  assertChoice('sigma_dtype', settings.sigmaDtype, ['float32', 'bfloat16', 'float16']);
  assertChoice('on_exhausted', settings.onExhausted, ['error', 'unrestricted']);
  assertNumber('discrete_flow_shift', settings.discreteFlowShift, (x) => x > 0, 'a positive number');
  assertNumber('sigmoid_scale', settings.sigmoidScale, () => true, 'a number');
  assertNumber('logit_mean', settings.logitMean, () => true, 'a number');
  assertNumber('logit_std', settings.logitStd, (x) => x >= 0, 'a number of at least 0');
  // Outside this interval the density of `mode` is not monotone and leaves [0, 1].
  const isModeScale = (x: number): boolean =>
    settings.weightingScheme !== 'mode' || (x >= -1 && x <= 2 / (Math.PI - 2));
  assertNumber('mode_scale', settings.modeScale, isModeScale, 'a number from -1 to 1.75');
  assertNumber('min_timestep', settings.minTimestep, isTimestep, 'a number from 0 to 1000');
  assertNumber('max_timestep', settings.maxTimestep, isTimestep, 'a number from 0 to 1000');
  assertRatios(settings.qinglongRatios);
  assertOrder(settings);
  return settings;
}

export function assertWeightingScheme(name: string): asserts name is WeightingScheme {
  if ((weightingSchemes as readonly string[]).includes(name)) return;
  throw unknownName('UNKNOWN_WEIGHTING', 'weighting_scheme', name, 'a weighting scheme', weightingSchemes);
}

function assertRatios(ratios: readonly number[] | null): void {
  if (ratios === null) return;
  const areShares = ratios.length === 3 && ratios.every((x) => typeof x === 'number' && x >= 0 && Number.isFinite(x));
  if (areShares && ratios.some((x) => x > 0)) return;
  const problem = `qinglong_ratios = ${ratios.join(' ')} is not three shares.`;
  const remedy = 'Give three numbers of at least 0, e.g. 80 7.5 12.5.';
  throw new SamplerError('SAMPLER_OPTION', problem, remedy, { option: 'qinglong_ratios', value: ratios });
}

function assertOrder({ minTimestep, maxTimestep, preserveDistributionShape }: SamplerSettings): void {
  const isEmpty = preserveDistributionShape ? minTimestep >= maxTimestep : minTimestep > maxTimestep;
  if (!isEmpty) return;
  throw new SamplerError(
    'SAMPLER_OPTION',
    `min_timestep = ${minTimestep} and max_timestep = ${maxTimestep} leave no timesteps between them.`,
    'Give the lower end of the range as min_timestep and the upper as max_timestep.',
    { option: 'min_timestep', value: minTimestep },
  );
}

function assertChoice(option: string, value: string, known: readonly string[]): void {
  if (!known.includes(value)) throw unknownName('SAMPLER_OPTION', option, value, 'one of its values', known);
}

function assertNumber(option: string, value: number, isValid: (x: number) => boolean, wanted: string): void {
  if (typeof value === 'number' && Number.isFinite(value) && isValid(value)) return;
  const problem = `${option} = ${String(value)} is not ${wanted}.`;
  throw new SamplerError('SAMPLER_OPTION', problem, `Use ${wanted}.`, { option, value });
}

function isTimestep(x: number): boolean {
  return x >= 0 && x <= 1000;
}
