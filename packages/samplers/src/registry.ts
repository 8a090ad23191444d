import type { Distribution, LatentSize } from './distributions.ts';
import { ideogram4, logitNormal, logsnr, shiftForTokens, uniform } from './distributions.ts';
import { unknownName } from './errors.ts';
import type { SamplerSettings } from './options.ts';

/** One part of a mixture: items whose decision number lies below `until` (and not below the part before). */
export interface Component extends Distribution {
  readonly until: number;
}

/** What is known of a sampler; help texts, tables and tests are made from it. */
export interface SamplerDefinition {
  readonly name: string;
  readonly doc: string;
  readonly reference: string;
  /** options it reads beside the range, as keys of `SamplerSettings` */
  readonly options: readonly (keyof SamplerSettings)[];
  readonly usesLatentSize: boolean;
  /** its parts for one latent size; null for `sigma`, which picks an entry of a schedule */
  readonly components: ((settings: SamplerSettings, size: LatentSize) => readonly Component[]) | null;
}

const sd3 = 'Esser et al. 2024, arXiv 2403.03206';
const styleFriendly = 'Choi et al. 2024, arXiv 2411.14793';

/** All samplers, in the order in which the option lists them. */
export const samplers = [
  {
    name: 'sigma',
    doc: 'an entry of the 1000-step schedule, chosen by the density of weighting_scheme',
    reference: `${sd3}, §3.1`,
    options: ['weightingScheme', 'logitMean', 'logitStd', 'modeScale', 'sigmaDtype'],
    usesLatentSize: false,
    components: null,
  },
  {
    name: 'uniform',
    doc: 'all noise levels alike',
    reference: 'Lipman et al. 2022, arXiv 2210.02747',
    options: [],
    usesLatentSize: false,
    components: () => only(uniform()),
  },
  {
    name: 'sigmoid',
    doc: 'logit-normal around one half',
    reference: `${sd3}, §3.1`,
    options: ['sigmoidScale'],
    usesLatentSize: false,
    components: ({ sigmoidScale }) => only(logitNormal(sigmoidScale)),
  },
  {
    name: 'shift',
    doc: 'logit-normal, moved towards noise by discrete_flow_shift',
    reference: `${sd3}, §5.3.2`,
    options: ['sigmoidScale', 'discreteFlowShift'],
    usesLatentSize: false,
    components: ({ sigmoidScale, discreteFlowShift }) => only(logitNormal(sigmoidScale, discreteFlowShift)),
  },
  {
    name: 'flux_shift',
    doc: 'as shift, with the shift of FLUX.1 for the size of the latents',
    reference: `${sd3}, §5.3.2; FLUX.1 schedule`,
    options: ['sigmoidScale'],
    usesLatentSize: true,
    components: ({ sigmoidScale }, size) => only(logitNormal(sigmoidScale, fluxShift(size))),
  },
  {
    name: 'flux2_shift',
    doc: 'as shift, with the shift of FLUX.2 for the size of the latents',
    reference: `${sd3}, §5.3.2; FLUX.2 schedule`,
    options: ['sigmoidScale'],
    usesLatentSize: true,
    components: ({ sigmoidScale }, { height, width }) =>
      only(logitNormal(sigmoidScale, shiftForTokens(height * width, [256, 0.5], [4096, 1.15]))),
  },
  {
    name: 'ideogram4_shift',
    doc: 'logit-normal of deviation 1.5 whose mean follows the size of the picture',
    reference: 'Ideogram 4 schedule',
    options: [],
    usesLatentSize: true,
    components: (_, size) => only(ideogram4(size)),
  },
  {
    name: 'qwen_shift',
    doc: 'as shift, with the shift of Qwen-Image for the size of the latents',
    reference: `${sd3}, §5.3.2; Qwen-Image schedule`,
    options: ['sigmoidScale'],
    usesLatentSize: true,
    components: ({ sigmoidScale }, size) => only(logitNormal(sigmoidScale, qwenShift(size))),
  },
  {
    name: 'krea2_shift',
    doc: 'as shift, with the shift of Krea 2 for the size of the latents',
    reference: `${sd3}, §5.3.2; Krea 2 schedule`,
    options: ['sigmoidScale'],
    usesLatentSize: true,
    components: ({ sigmoidScale }, size) =>
      only(logitNormal(sigmoidScale, shiftForTokens(patches(size), [256, 0.5], [6400, 1.15]))),
  },
  {
    name: 'logsnr',
    doc: 'style-friendly: normal log signal-to-noise ratio; a negative logit_mean is noisier',
    reference: styleFriendly,
    options: ['logitMean', 'logitStd'],
    usesLatentSize: false,
    components: ({ logitMean, logitStd }) => only(logsnr(logitMean, logitStd)),
  },
  {
    name: 'qinglong_flux',
    doc: 'mixture of flux_shift, logsnr and a low-noise logsnr (mean 5.36, deviation 1)',
    reference: styleFriendly,
    options: ['sigmoidScale', 'logitMean', 'logitStd', 'qinglongPreset', 'qinglongRatios'],
    usesLatentSize: true,
    components: (settings, size) => qinglong('qinglong_flux', fluxShift(size), settings),
  },
  {
    name: 'qinglong_qwen',
    doc: 'mixture of qwen_shift, logsnr and a low-noise logsnr (mean 5.36, deviation 1)',
    reference: styleFriendly,
    options: ['sigmoidScale', 'logitMean', 'logitStd', 'qinglongPreset', 'qinglongRatios'],
    usesLatentSize: true,
    components: (settings, size) => qinglong('qinglong_qwen', qwenShift(size), settings),
  },
] as const satisfies readonly SamplerDefinition[];

export type SamplerName = (typeof samplers)[number]['name'];

export const samplerNames: readonly SamplerName[] = samplers.map(({ name }) => name);

/**
 * Decision numbers at which the two mixtures pass from the shifted part to logsnr and from that to the low-noise part.
 * `80-7.5-12.5` (percent) is the default; `musubi-0.3.4` has the shares of that release.
 */
export const qinglongPresets = {
  '80-7.5-12.5': { qinglong_flux: [0.8, 0.875], qinglong_qwen: [0.8, 0.875] },
  'musubi-0.3.4': { qinglong_flux: [0.79, 0.9], qinglong_qwen: [0.95, 0.95] },
} as const;

export type QinglongPreset = keyof typeof qinglongPresets;

/** @throws {SamplerError} `UNKNOWN_SAMPLER` with the nearest name */
export function findSampler(name: string): SamplerDefinition {
  const found = samplers.find((sampler) => sampler.name === name);
  if (!found) throw unknownName('UNKNOWN_SAMPLER', 'timestep_sampling', name, 'a sampler', samplerNames);
  return found;
}

function only(distribution: Distribution): readonly Component[] {
  return [{ ...distribution, until: Infinity }];
}

function qinglong(
  name: 'qinglong_flux' | 'qinglong_qwen',
  shift: number,
  { sigmoidScale, logitMean, logitStd, qinglongPreset, qinglongRatios }: SamplerSettings,
): readonly Component[] {
  const [first, second] = qinglongRatios ? thresholds(qinglongRatios) : qinglongPresets[qinglongPreset][name];
  return [
    { ...logitNormal(sigmoidScale, shift), until: Math.fround(first) },
    { ...logsnr(logitMean, logitStd), until: Math.fround(second) },
    { ...logsnr(5.36, 1), until: Infinity },
  ];
}

function thresholds([shifted, middle, low]: readonly [number, number, number]): readonly [number, number] {
  const sum = shifted + middle + low;
  return [shifted / sum, (shifted + middle) / sum];
}

function fluxShift(size: LatentSize): number {
  return shiftForTokens(patches(size), [256, 0.5], [4096, 1.15]);
}

function qwenShift(size: LatentSize): number {
  return shiftForTokens(patches(size), [256, 0.5], [8192, 0.9]);
}

/** Tokens of a transformer that takes patches of 2 × 2 latent pixels. */
function patches({ height, width }: LatentSize): number {
  return Math.floor(height / 2) * Math.floor(width / 2);
}
